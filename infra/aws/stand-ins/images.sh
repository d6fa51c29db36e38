#!/usr/bin/env bash
# Puts the images that tasks are made of on a registry on loopback, and runs a
# command beside it:
#
#   run.sh images.sh cargo bench …
#
# The command is told where they are: TARPON_TEST_AGENT and TARPON_TEST_PROBE.
# It needs both programs, which `make agent probe` builds.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
host=$(rustc -vV | sed -n 's/^host: //p')

folder=$(mktemp -d)
server=
registry=
stop() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    # Nothing of the registry's is left where images are kept.
    if [ -n "$registry" ]; then
        docker image ls --format '{{.Repository}}:{{.Tag}}' | { grep "^$registry/" || true; } |
            xargs --no-run-if-empty docker image rm --force >/dev/null
    fi
    rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# shellcheck source=infra/aws/stand-ins/told.sh
. "$here/told.sh"

start_registry() {
    cat >"$folder/registry.yaml" <<-YAML
	version: 0.1
	storage: { filesystem: { rootdirectory: "$folder/images" } }
	http: { addr: "127.0.0.1:0" }
	YAML
    docker-registry serve "$folder/registry.yaml" >/dev/null 2>"$folder/registry.log" &
    server=$!
    registry=$(told "$folder/registry.log" '.*listening on \(127.0.0.1:[0-9]*\)')
}

# Puts an image of one program on the registry, and prints its name.
put_image() {
    local name=$registry/tarpon/$1 dockerfile=$2 program=$3 context=$folder/context
    mkdir -p "$context"
    cp "$program" "$context/"
    # The classic builder: every engine has it.
    DOCKER_BUILDKIT=0 docker build --quiet --tag "$name" --file "$dockerfile" "$context" >&2 2>/dev/null
    docker push --quiet "$name" >/dev/null
    rm -r "$context"
    echo "$name"
}

start_registry
agent=$(put_image agent "$here/agent.Dockerfile" "$target/$host/static/tarpon-agent")
probe=$(put_image probe "$root/tests/probe/Dockerfile" "$target/$host/static/probe")
export TARPON_TEST_AGENT=$agent TARPON_TEST_PROBE=$probe
"$@"
