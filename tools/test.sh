#!/bin/sh
# Every test: tools/test.sh [options of pytest]. A file's tests stay together, files run on all cores at once.
# First what computes, then the stories: of these only two at once, since each has many processes of its own.
set -u
cd "$(dirname "$0")/.."

# Thousands of processes are started: none compiles the source again where Python may not write what it compiled.
.venv/bin/python -m compileall -q src

# Short, since the paths of UNIX sockets are; kept if a test fails.
folder=$(mktemp -d /tmp/ms-XXXXXX)
failed=0
.venv/bin/pytest -q -n auto --dist loadfile --basetemp "$folder/1" --ignore tests/e2e "$@" || failed=$?
.venv/bin/pytest -q -n 2 --dist loadfile --basetemp "$folder/2" tests/e2e "$@" || failed=$?
[ "$failed" != 0 ] || rm -rf "$folder"
exit "$failed"
