#!/usr/bin/env bash
# Deploys the real template into the stand-in, and runs a command beside it:
#
#   run.sh images.sh deployed.sh cargo nextest run …
#
# Tasks are containers of this machine, by an ECS of our own. The command is told
# where the API is (TARPON_TEST_URL), and what the stack and its bucket are called
# (TARPON_TEST_STACK, TARPON_TEST_BUCKET), and where each dialect is. It needs the functions' zips and the
# ECS, which `make test-aws` builds.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
python=$root/target/stand-ins/bin/python3
stack=tarpon

folder=$(mktemp -d)
processes=()
stop() {
    local process
    for process in "${processes[@]}"; do
        kill "$process" 2>/dev/null || true
    done
    for process in "${processes[@]}"; do
        wait "$process" 2>/dev/null || true
    done
    rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# shellcheck source=infra/aws/stand-ins/told.sh
. "$here/told.sh"

start_ecs() {
    "$target/debug/tests-ecs" --events "$AWS_ENDPOINT_URL" --event-source tests.ecs \
        >"$folder/ecs" 2>"$folder/ecs.log" &
    processes+=($!)
    ecs=$(told "$folder/ecs" '.*"listening":"\([^"]*\)"')
}

# Of the two images only the agent's is on the registry: no story runs the other.
deploy() {
    "$python" "$root/infra/aws/deploy.py" --stack "$stack" --zips "$target/zips" \
        AgentImage="$TARPON_TEST_AGENT" PicProcessImage="${TARPON_TEST_AGENT%/agent}/pic-process" \
        "$@" >"$folder/outputs"
}

start_ecs
deploy AwsEndpoint="$AWS_ENDPOINT_URL" EcsEndpoint="$ecs" \
    AllowRegistryAt=127.0.0.0/8 TaskEventSource=tests.ecs
# What the API is called is known only now, and tasks have to be told.
api=$(told "$folder/outputs" '^Url\thttps://\([a-z0-9]*\)\.execute-api')
url="${AWS_ENDPOINT_URL/127.0.0.1/localhost}/_aws/execute-api/$api/\$default"
deploy PublicUrl="$url" ServiceUrl="$url"

bucket=$(told "$folder/outputs" '^BucketName\t\([a-z0-9-]*\)')
# The dialects are at URLs of their own: TARPON_TENCENT_CI_URL, and so on.
while IFS=$'\t' read -r name value; do
    name=$(sed -n 's/^Dialect\(.*\)Url$/\1/p' <<<"$name" | sed 's/\(.\)\([A-Z]\)/\1_\2/g')
    [ -z "$name" ] || export "TARPON_${name^^}_URL=$value"
done <"$folder/outputs"
export TARPON_STAND_IN=${AWS_ENDPOINT_URL#http://}
export TARPON_TEST_URL=$url TARPON_TEST_STACK=$stack TARPON_TEST_BUCKET=$bucket
"$@"
