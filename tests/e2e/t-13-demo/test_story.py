"""The demo from end to end, as `make demo` starts it: every sample ends as it should, and nothing is left."""

import subprocess
import sys
from pathlib import Path

from harness.gateway import clean_environment

ROOT = Path(__file__).parents[3]


def test_once(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--once"],
        cwd=ROOT, env=clean_environment() | {"TMPDIR": str(tmp_path)}, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "✘" not in done.stdout
    assert "550 5.7.1" in done.stdout
    assert "The merger is on the 14th." in done.stdout
    forms = ("S/MIME, encrypted", "PGP/MIME, encrypted", "OpenPGP in the text (inline), encrypted", "signed, readable")
    for form in forms:
        assert f"on the wire: {form}" in done.stdout
    assert "the signature is Anna's" in done.stdout
    assert not list(tmp_path.iterdir()), "its folder is gone"
    assert not _left(tmp_path), "its processes are gone"


def _left(folder: Path) -> list[str]:
    lines = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            lines += [line] if str(folder) in line else []
    return lines
