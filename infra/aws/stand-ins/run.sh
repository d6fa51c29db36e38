#!/usr/bin/env bash
# Runs a command beside a stand-in for AWS's APIs, which lives as long as the
# command does:
#
#   run.sh cargo test …
#
# The command finds the stand-in as the SDKs do, by AWS_ENDPOINT_URL and the
# credentials of a user whose signatures are checked; TARPON_TEST_AWS says that
# all this is no real account.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=$(cd "$here/../../.." && pwd)/target/stand-ins
python=$home/bin/python3

install() {
    cmp --silent "$here/requirements.txt" "$home/installed.txt" && return
    echo "Installing the stand-ins." >&2
    python3 -m venv --clear "$home"
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps \
        --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$home/installed.txt"
}

free_port() {
    "$python" -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# What it keeps, and what it says, goes when it goes.
folder=
server=
stop() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    [ -z "$folder" ] || rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

start() {
    local port
    port=$(free_port)
    folder=$(mktemp -d)
    # Whatever account its user has on this machine is out of reach.
    unset AWS_PROFILE AWS_SESSION_TOKEN
    export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null \
        AWS_EC2_METADATA_DISABLED=true NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 \
        AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 AWS_ENDPOINT_URL=http://127.0.0.1:$port
    env -u AWS_ENDPOINT_URL \
        AUTH=true IOT_MTLS_ENABLED=0 SFTP_ENABLED=0 LOG_LEVEL=WARNING TMPDIR="$folder" \
        GATEWAY_PORT="$port" BIND_HOST=127.0.0.1 MINISTACK_HOST=localhost \
        "$home/bin/ministack" >"$folder/log" 2>&1 &
    server=$!
    # It answers within seconds; then it is asked for a user.
    if ! "$python" "$here/user.py" "$server" >"$folder/user"; then
        tail -n 20 "$folder/log" >&2
        exit 1
    fi
    # shellcheck source=/dev/null
    . "$folder/user"
    export TARPON_TEST_AWS=$AWS_ENDPOINT_URL
}

install
start
"$@"
