"""opendkim in its test mode: signs and verifies one mail with keys and records out of files, without DNS or socket."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

_INSERTED = re.compile(r"### INSHEADER: idx=\d+ hname='([^']+)' hvalue='(.*?)'$", re.MULTILINE | re.DOTALL)


def why_not() -> str | None:
    """Why it cannot run here; None if it can."""
    return None if shutil.which("opendkim") else "not installed: opendkim (apt-get install opendkim)"


def results(folder: Path, raw: bytes, records: Mapping[str, list[str]]) -> list[str]:
    """The result of each DKIM-Signature, in the order in which opendkim tells them."""
    data = folder / "records"
    data.write_text("".join(f"{name} {texts[0]}\n" for name, texts in records.items()))
    found = _run(folder, raw, f"Mode v\nTestDNSData {data}\nAuthservID referee\nMaximumSignaturesToVerify 9\n")
    return re.findall(r"(?<!-)dkim=(\w+)", found["Authentication-Results"])


def signature(folder: Path, raw: bytes, key: Path, settings: str) -> bytes:
    """A DKIM-Signature field, CRLF at its end."""
    value = _run(folder, raw, f"Mode s\nKeyFile {key}\n{settings}")["DKIM-Signature"]
    return b"DKIM-Signature: " + value.replace("\n", "\r\n").encode("ascii") + b"\r\n"


def _run(folder: Path, raw: bytes, settings: str) -> dict[str, str]:
    mail, config = folder / "mail.eml", folder / "opendkim.conf"
    mail.write_bytes(raw)
    config.write_text(f"Syslog no\nRequireSafeKeys no\nBaseDirectory {folder}\nTemporaryDirectory {folder}\n{settings}")
    command = ["opendkim", "-x", str(config), "-t", str(mail), "-v", "-v"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    found = dict(_INSERTED.findall(done.stdout))
    if not found:
        raise AssertionError(f"opendkim says nothing: {done.stdout}{done.stderr}")
    return found
