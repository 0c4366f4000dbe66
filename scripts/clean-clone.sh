#!/bin/sh
# Do what someone new does: clone what is committed into an empty folder, run the demo, run some tests.
set -eu
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT INT TERM
git clone --quiet . "$folder/headgate"
cd "$folder/headgate"
make demo DEMO_ARGS=--once
make setup
make test TESTS="${TESTS:-tests/flow tests/test_docs.py tests/test_imports.py}"
left=$(git status --porcelain)
[ -z "$left" ] || {
    printf 'clean-clone: these files were made and are not ignored:\n%s\n' "$left" >&2
    exit 1
}
echo "clean-clone: done"
