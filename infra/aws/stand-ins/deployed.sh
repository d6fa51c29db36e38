#!/usr/bin/env bash
# Deploys the real template into the stand-in, and runs a command beside it:
#
#   run.sh deployed.sh cargo nextest run …
#
# Tasks are containers of this machine, by an ECS of our own; their images come
# from a registry on loopback. The command is told where the API is
# (TARPON_TEST_URL), what the stack and its bucket are called (TARPON_TEST_STACK,
# TARPON_TEST_BUCKET) and where the images of the probe and the agent are
# (TARPON_TEST_PROBE, TARPON_TEST_AGENT). It needs the functions' zips, the agent
# and the probe, which `make test-aws` builds.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
host=$(rustc -vV | sed -n 's/^host: //p')
python=$root/target/stand-ins/bin/python3
stack=tarpon

folder=$(mktemp -d)
processes=()
registry=
stop() {
    local process
    for process in "${processes[@]}"; do
        kill "$process" 2>/dev/null || true
    done
    for process in "${processes[@]}"; do
        wait "$process" 2>/dev/null || true
    done
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

# Waits until a file has a line like this, and prints what the pattern keeps.
told() {
    local file=$1 pattern=$2 found
    for _ in $(seq 300); do
        found=$(sed -n "s~$pattern.*~\1~p" "$file" | head -n 1)
        [ -n "$found" ] && echo "$found" && return
        sleep 0.1
    done
    tail -n 20 "$file" >&2
    return 1
}

start_registry() {
    cat >"$folder/registry.yaml" <<-YAML
	version: 0.1
	storage: { filesystem: { rootdirectory: "$folder/images" } }
	http: { addr: "127.0.0.1:0" }
	YAML
    docker-registry serve "$folder/registry.yaml" >/dev/null 2>"$folder/registry.log" &
    processes+=($!)
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

start_ecs() {
    "$target/debug/tests-ecs" --events "$AWS_ENDPOINT_URL" --event-source tests.ecs \
        >"$folder/ecs" 2>"$folder/ecs.log" &
    processes+=($!)
    ecs=$(told "$folder/ecs" '.*"listening":"\([^"]*\)"')
}

deploy() {
    "$python" "$root/infra/aws/deploy.py" --stack "$stack" --zips "$target/stand-ins/lambda" \
        AgentImage="$agent" "$@" >"$folder/outputs"
}

start_registry
start_ecs
agent=$(put_image agent "$here/agent.Dockerfile" "$target/$host/static/tarpon-agent")
probe=$(put_image probe "$root/tests/probe/Dockerfile" "$target/$host/static/probe")
deploy AwsEndpoint="$AWS_ENDPOINT_URL" EcsEndpoint="$ecs" \
    AllowRegistryAt=127.0.0.0/8 TaskEventSource=tests.ecs
# What the API is called is known only now, and tasks have to be told.
api=$(told "$folder/outputs" '^Url\thttps://\([a-z0-9]*\)\.execute-api')
url="${AWS_ENDPOINT_URL/127.0.0.1/localhost}/_aws/execute-api/$api/\$default"
deploy PublicUrl="$url" ServiceUrl="$url"

bucket=$(told "$folder/outputs" '^BucketName\t\([a-z0-9-]*\)')
export TARPON_TEST_URL=$url TARPON_TEST_STACK=$stack TARPON_TEST_PROBE=$probe \
    TARPON_TEST_AGENT=$agent \
    TARPON_TEST_BUCKET=$bucket
"$@"
