#!/usr/bin/env bash
# Writes requirements/*.txt from pyproject.toml: every version pinned, every file hashed, no index address in it.
# Pins that still fit are kept; UPGRADE=1 takes the newest. One lock serves every Python from 3.11 on: where a
# library has dropped 3.11 (Django 6), the line for it carries a marker.
# Only releases that have wheels: a build would take the newest tools of its day. Extras are named, for those who install
# a lock by hand: pip in hash mode would take the newest release for an extra that no line names.
# The pins of [build-system] in pyproject.toml follow dev.txt by hand; a test says when.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${1:-python3}

compile() { # NAME ARGUMENT...
    local name=$1
    shift
    "$PYTHON" -m uv pip compile pyproject.toml "$@" \
        --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-strip-extras --only-binary :all: \
        --custom-compile-command "make lock" --quiet ${UPGRADE:+--upgrade} \
        --output-file "requirements/$name.txt"
    echo "requirements/$name.txt"
}

# dev holds all of base and test; the others are cut from the same pins, so that one environment can grow
# from base to test to dev without a version moving.
compile dev --extra cli --group dev
for lock in "base --extra cli --group demo" "test --extra cli --group test" "fast --extra fast" \
    "prod --extra cli --extra prod --extra s3" "brokers --group brokers" \
    "outside --group outside" "mariadb --group mariadb" "docs --extra cli --group docs"; do
    # shellcheck disable=SC2086  # the words are the arguments
    compile $lock --constraints requirements/dev.txt
done
