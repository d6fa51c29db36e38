#!/usr/bin/env bash
# Runs both images on real input against a server of its own, in containers:
#
#   demo.sh RELEASE_BINARY
set -euo pipefail

tarpon=$(realpath "${1:?which binary? (make demo knows)}")
cd "$(dirname "$0")/.."
picture=tests/data/chelsea.jpg
rules='imageMogr2/auto-orient/thumbnail/!50p|imageMogr2/quality/75'

folder=$(mktemp -d /tmp/tarpon-demo.XXXXXX)
server=
project=

finish() {
    code=$?
    trap - EXIT
    if [[ -n $server ]]; then
        kill -TERM "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    if [[ -n $project ]]; then
        # Of the project that was made for this, and of no other.
        docker ps --all --quiet --filter "label=dev.tarpon.project=$project" |
            xargs --no-run-if-empty docker rm --force --volumes >/dev/null || true
        docker network ls --quiet --filter "name=$project" |
            xargs --no-run-if-empty docker network rm >/dev/null || true
    fi
    if [[ $code -ne 0 ]]; then
        echo "The demo failed. The server's log ends:" >&2
        tail -n 60 "$folder/log" >&2 || true
        code=1
    fi
    # The containers' files may be another user's; what is left is in /tmp.
    rm -rf "$folder" 2>/dev/null || true
    exit "$code"
}
trap finish EXIT
trap 'exit 1' INT TERM

say() { printf '\n%s\n' "$*"; }
indent() { sed 's/^/    /'; }
# One field of a JSON object on stdin, without asking for a JSON tool.
field() { tr ',{}' '\n\n\n' | sed -n "s/^ *\"$1\": *\"\{0,1\}\([^\"]*\)\"\{0,1\} *$/\1/p" | head -n 1; }
seconds() { date -u -d "$1" +%s.%N; }
between() { awk -v a="$(seconds "$1")" -v b="$(seconds "$2")" 'BEGIN { printf "%.0f ms", (b - a) * 1000 }'; }
sizes() { tr -d ' \n' | sed 's/.*"original":{\([^}]*\)}.*"result":{\([^}]*\)}.*/\1\n\2/'; }

env -u TARPON_URL "$tarpon" serve --listen 127.0.0.1:0 --data "$folder/data" --runtime docker \
    >"$folder/ready" 2>"$folder/log" &
server=$!
until [[ -s $folder/ready ]]; do
    kill -0 "$server" 2>/dev/null || exit 1
    sleep 0.05
done
url=$(field listening <"$folder/ready")
project=$(field project_id <"$folder/data/credentials.json")
key=$(field access_key_id <"$folder/data/credentials.json")
secret=$(field secret_access_key <"$folder/data/credentials.json")
export TARPON_URL=$url TARPON_ACCESS_KEY_ID=$key TARPON_SECRET_ACCESS_KEY=$secret
echo "A server of our own is at $url, its data in $folder/data."

say "1. One call: a body goes in as standard input, one tar comes back (tarpon/hello)."
echo "Hello from $(uname -s), $(date +%F)." >"$folder/input"
query='image=tarpon/hello&command=these&command=are&command=arguments&output=/tmp/result&wait=60'
if command -v curl >/dev/null; then
    echo "    curl -u KEY:SECRET --data-binary @input '$url/v1/jobs?$query'"
    curl --silent --show-error --fail --user "$key:$secret" --header 'Content-Type: text/plain' \
        --data-binary "@$folder/input" --output "$folder/hello.tar" "$url/v1/jobs?$query"
else
    echo "    tarpon run tarpon/hello --stdin input --archive hello.tar -- these are arguments"
    "$tarpon" run tarpon/hello --quiet --stdin "$folder/input" --output /tmp/result \
        --archive "$folder/hello.tar" -- these are arguments >/dev/null 2>&1
fi
echo "The tar:"
tar -tvf "$folder/hello.tar" | indent
for member in Stdout Stderr tmp/result; do
    echo "$member:"
    tar -xOf "$folder/hello.tar" "$member" | indent
done

say "2. A job to come back for: a picture, processed (tarpon/pic-process)."
echo "    tarpon submit tarpon/pic-process --stdin $picture --output /out.jpg --output /info.json \\"
echo "        -- '$rules' --output /out.jpg --info /info.json"
job=$("$tarpon" submit tarpon/pic-process --stdin "$picture" --output /out.jpg --output /info.json \
    -- "$rules" --output /out.jpg --info /info.json)
echo "It is accepted as $job. Waiting for it:"
"$tarpon" wait --quiet "$job" | indent
"$tarpon" output "$job" --quiet --output "$folder/pic.tar"
info=$(tar -xOf "$folder/pic.tar" info.json | sizes)
n=0
while read -r half; do
    n=$((n + 1))
    name=$([[ $n -eq 1 ]] && echo before || echo after)
    echo "    $name: $(field width <<<"$half") x $(field height <<<"$half") pixels," \
        "$(field size_bytes <<<"$half") bytes, $(field format <<<"$half")"
done <<<"$info"

manifest=$(tar -xOf "$folder/pic.tar" manifest.json)
accepted=$("$tarpon" show "$job" --json | field created_at)
started=$(field started_at <<<"$manifest")
ended=$(field ended_at <<<"$manifest")
echo "From submit to the process's start: $(between "$accepted" "$started"); it ran for $(between "$started" "$ended")."
say "Done. The server is stopped, and its data removed."
