#!/bin/sh
# Makes .venv and installs what a lock file names, every file checked by its hash: tools/install.sh requirements.lock
# The package itself is not built: a .pth file points at src, and bin/mailseal calls it.
set -eu
cd "$(dirname "$0")/.."
lock=$1

usable() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
python=""
for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null && usable "$candidate"; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "error: Python 3.11 or later is needed; set PYTHON to where it is" >&2
    exit 1
fi

if ! { [ -x .venv/bin/python ] && usable .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; }; then
    "$python" -c 'import venv, ensurepip' 2>/dev/null || sh tools/debian.sh python3-venv
    "$python" -m venv --clear .venv
fi

install() {
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes "$@"
}
# What comes as source is built by the setuptools that the lock file names, not by whichever an index has today.
builder=$(sed -n '/^setuptools==/,/[^\\]$/p' "$lock")
if [ -n "$builder" ]; then
    mkdir -p build
    printf '%s\n' "$builder" >build/builder.lock
    install -r build/builder.lock
fi
install --no-build-isolation --use-pep517 -r "$lock"

site=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
printf '%s\n' "$PWD/src" >"$site/mailseal.pth"
cat >.venv/bin/mailseal <<SCRIPT
#!$PWD/.venv/bin/python
import sys

from mailseal.cli import main

sys.exit(main())
SCRIPT
chmod 755 .venv/bin/mailseal
