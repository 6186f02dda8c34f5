#!/bin/sh
# Writes requirements.lock and requirements-dev.lock anew, with hashes and without an index address.
set -eu
cd "$(dirname "$0")/.."
"${PYTHON:-python3}" -m venv --clear build/lock
build/lock/bin/pip install --quiet --disable-pip-version-check pip-tools
compile() {
    build/lock/bin/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe --strip-extras --no-header \
        --no-emit-index-url --no-emit-trusted-host --no-emit-find-links "$@" pyproject.toml
}
compile --output-file requirements.lock
compile --extra dev --constraint requirements.lock --output-file requirements-dev.lock
