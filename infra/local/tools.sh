#!/bin/sh
# Installs those of the named tools that are missing: what comes ready built
# first, else from source.
#
#   tools.sh cargo-nextest busybox …
set -eu

have() { command -v "$1" >/dev/null 2>&1; }
from_source() { cargo install --locked --quiet "$1"; }

from_debian() {
    if have apt-get && [ "$(id -u)" -eq 0 ]; then
        apt-get install --yes -qq "$1" >/dev/null 2>&1 ||
            { apt-get update -qq && apt-get install --yes -qq "$1"; } >/dev/null 2>&1 && return
    fi
    echo "The tests need $1. On Debian or Ubuntu, install it with" >&2
    echo "    sudo apt-get install $1" >&2
    exit 1
}

for tool; do
    have "$tool" && continue
    echo "Installing $tool." >&2
    case $tool in
        # Static, for containers in which there is nothing to link with.
        busybox) from_debian busybox-static ;;
        docker-registry) from_debian docker-registry ;;
        typos) python3 -m pip install --quiet typos 2>/dev/null || from_source typos-cli ;;
        *) from_source "$tool" ;;
    esac
done
