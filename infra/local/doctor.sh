#!/bin/sh
# Says what is missing to run containers here, and the command that brings it.
set -eu
if ! command -v docker >/dev/null 2>&1; then
    echo "No container engine: on Debian or Ubuntu, install one with" >&2
    echo "    sudo apt-get install docker.io" >&2
    exit 1
fi
if ! docker version >/dev/null 2>&1; then
    echo "The container engine does not answer. Start it, and let this user use it:" >&2
    echo "    sudo systemctl start docker && sudo usermod -aG docker \"\$USER\"" >&2
    exit 1
fi
