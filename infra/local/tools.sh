#!/bin/sh
# Installs the checkers that are missing: from Python's registry where it has
# them ready built, else from source.
set -eu
have() { command -v "$1" >/dev/null 2>&1; }
from_python() { python3 -m pip install --quiet --disable-pip-version-check "$1" 2>/dev/null; }
have cargo-nextest || cargo install --locked --quiet cargo-nextest
have cargo-machete || cargo install --locked --quiet cargo-machete
have cargo-deny || cargo install --locked --quiet cargo-deny
have typos || from_python typos || cargo install --locked --quiet typos-cli
