"""The demo from end to end, as `make demo` starts it: every sample ends as it should, and nothing is left."""

import subprocess
import sys
from pathlib import Path

from harness.folder import short_folder
from harness.gateway import clean_environment

ROOT = Path(__file__).parents[3]


def test_once(need_postfix: None) -> None:
    said = played()
    assert "Without Postfix" not in said
    assert "report to Anna 550 5.7.1" in said
    assert "the next server cannot be reached" in said
    assert "no TLS as the policy wants it" in said
    assert "535 5.7.8" in said
    assert "553 5.7.1" in said


def test_once_without_postfix() -> None:
    said = played("--alone")
    assert "Without Postfix" in said
    assert "reply 550 5.7.1" in said


def played(*options: str) -> str:
    """What the demo says; it ended well and has left nothing."""
    with short_folder("demo") as folder:  # as short as /tmp, and Postfix's user gets in
        done = subprocess.run(
            [sys.executable, "-m", "demo", "--once", *options],
            cwd=ROOT, env=clean_environment() | {"TMPDIR": str(folder)}, capture_output=True, text=True, timeout=600,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert not list(folder.iterdir()), "its folder is gone"
        assert not _left(folder), "its processes are gone"
    assert not done.stderr
    assert "✘" not in done.stdout, done.stdout
    assert "The merger is on the 14th." in done.stdout
    forms = ("S/MIME, encrypted", "PGP/MIME, encrypted", "OpenPGP in the text (inline), encrypted", "signed, readable")
    for form in forms:
        assert f"on the wire: {form}" in done.stdout
    assert "the signature is Anna's" in done.stdout
    assert "dkim=pass" in done.stdout
    plain = " ".join(done.stdout.replace("│", " ").split())  # without frames and the line breaks that they make
    assert "Many payment card numbers (11), customers.xlsx: xl/worksheets/sheet1.xml: ████████████1038" in plain
    assert "quarantine list not readable: encrypted (quarantine)" in plain
    assert "to Carol 550 5.7.1 this mail must be encrypted" in plain
    return plain


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
