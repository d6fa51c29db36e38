#!/usr/bin/env bash
# Builds the images in this folder from nothing but our own static programs.
#
#   build.sh                          every image
#   build.sh hello                    only that one
#   build.sh --binaries FOLDER …      from programs that are built already
#
# Prints one line an image: its tag, its id, its size in bytes.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
engine=${DOCKER:-docker}

binaries=
if [[ ${1:-} == --binaries ]]; then
    binaries=${2:?--binaries needs a folder}
    shift 2
fi

names=("$@")
if [[ ${#names[@]} -eq 0 ]]; then
    for dockerfile in "$here"/*/Dockerfile; do
        names+=("$(basename "$(dirname "$dockerfile")")")
    done
fi

for name in "${names[@]}"; do
    if [[ ! -f $here/$name/Dockerfile ]]; then
        echo "build.sh: no image is called $name: there is no $here/$name/Dockerfile" >&2
        exit 2
    fi
done

if [[ -z $binaries ]]; then
    cd "$here"
    # A target named in so many words keeps the flags away from build scripts
    # and macros, which cannot be static.
    target=$(rustc -vV | sed -n 's/^host: //p')
    RUSTFLAGS="-C target-feature=+crt-static" cargo build --profile static --target "$target" \
        "${names[@]/#/--package=tarpon-image-}" >&2
    root=$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
    binaries=$root/$target/static
fi

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT

for name in "${names[@]}"; do
    tag=tarpon/$name
    cp "$binaries/$name" "$context/$name"
    # The classic builder: every engine has it, and one COPY needs no better.
    # It announces its retirement each time, so it is heard only when it fails.
    if ! log=$(DOCKER_BUILDKIT=0 "$engine" build --quiet --tag "$tag" \
        --file "$here/$name/Dockerfile" "$context" 2>&1); then
        echo "$log" >&2
        exit 1
    fi
    "$engine" image inspect --format "$tag {{.Id}} {{.Size}}" "$tag"
done
