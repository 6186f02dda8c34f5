#!/bin/sh
# Every test: tools/test.sh [options of pytest]. A file's tests stay together, files run on all cores at once.
# First what computes, then the stories: of these only two at once, since each has many processes of its own.
set -u
cd "$(dirname "$0")/.."

# Thousands of processes are started: none compiles the source again where Python may not write what it compiled.
.venv/bin/python -m compileall -q src

failed=0
.venv/bin/pytest -q -n auto --dist loadfile --ignore tests/e2e "$@" || failed=$?
.venv/bin/pytest -q -n 2 --dist loadfile tests/e2e "$@" || failed=$?
exit "$failed"
