#!/usr/bin/env bash
# Makes zips of the functions as `cargo build` left them, for the stand-in:
#
#   zips.sh FOLDER
#
# Only those that have changed, without what debuggers want to know, which is
# most of them.
set -euo pipefail
root=$(cd "$(dirname "$0")/../../.." && pwd)
programs=$1
zips=${CARGO_TARGET_DIR:-$root/target}/zips

stripped=$(mktemp -d)
trap 'rm -rf "$stripped"' EXIT
changed=()
for manifest in "$root"/functions/*/Cargo.toml; do
    name=$(basename "$(dirname "$manifest")")
    [ "$zips/$name.zip" -nt "$programs/$name" ] && continue
    strip --output-file "$stripped/$name" "$programs/$name"
    changed+=("$name")
done
[ "${#changed[@]}" -eq 0 ] || "$root/infra/aws/package.py" --into "$zips" "$stripped" "${changed[@]}"
