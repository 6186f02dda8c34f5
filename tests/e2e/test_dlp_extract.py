"""`mailseal dlp extract` as it is typed: the text, its places, what was not read; without database and gateway."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from documents.archive_writer import locked, zipped
from harness.hostile_sandbox import CHILD, HOSTILE
from mailseal.cli import run
from mailseal.config import from_values
from mailseal.errors import TransientError
from mailseal.policy.inspection import GapReason, GapStatus
from mailseal.wiring.own_sandbox import OwnSandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MAIL = b"""\
From: anna@ours.test
Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/html

<p>4111\xc2\xa01111<!-- hidden --></p>
--b
Content-Type: application/rtf; name=a.rtf

{\\rtf1 from a process of its own}
--b--
"""


@pytest.fixture
def typed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    config = tmp_path / "mailseal.toml"
    config.write_text(f'data_dir = "{tmp_path}/none"\n[dlp]\ndepth = 2\n')

    def typed(octets: bytes, name: str, *words: str) -> tuple[int, str, str]:
        (tmp_path / name).write_bytes(octets)
        status = run(["--config", str(config), "dlp", "extract", str(tmp_path / name), *words])
        said = capfd.readouterr()
        return status, said.out, said.err

    return typed


def test_a_mail(typed: Callable[..., tuple[int, str, str]]) -> None:
    status, out, err = typed(MAIL, "a.eml", "--json")
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert (found["read_as"], found["gaps"]) == ("mail", [])
    texts = {one["place"]: one["text"] for one in found["passages"]}
    assert "from a process of its own" in texts["a.rtf"]
    assert "hidden" in out
    assert "gr\u00fc\u00dfe" in {one["text"] for one in found["passages"]}


def test_as_patterns_see_it(typed: Callable[..., tuple[int, str, str]]) -> None:
    assert "4111 1111" in typed(MAIL, "a.eml", "--normalised")[1]


def test_a_document_of_which_not_all_is_read(typed: Callable[..., tuple[int, str, str]]) -> None:
    archive = zipped({"a.txt": "\x1b[31mred", "b.zip": zipped({"c.zip": zipped({"d.zip": zipped({"e.txt": "deep"})})})})
    status, out, err = typed(archive, "a.zip")
    assert status == 1
    assert "a.zip > a.txt" in out
    assert "red" in out
    assert "\x1b" not in out
    assert "too-deep" in err
    assert "read as a document" in err
    status, out, err = typed(locked(archive), "a.zip", "--json")
    assert (status, err) == (1, "")
    assert {gap["reason"] for gap in json.loads(out)["gaps"]} == {"encrypted"}


def test_a_mail_may_be_read_as_a_document(typed: Callable[..., tuple[int, str, str]]) -> None:
    found = json.loads(typed(MAIL, "a.eml", "--as", "document", "--json")[1])
    assert found["read_as"] == "document"
    assert any("from a process of its own" in one["text"] for one in found["passages"])


def test_a_file_that_is_not_there(typed: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    status = run(["--config", str(tmp_path / "mailseal.toml"), "dlp", "extract", str(tmp_path / "none.pdf")])
    assert status == 1


@pytest.fixture
def own() -> Iterator[OwnSandbox]:
    config = from_values({"dlp": {"document_seconds": 1}})
    with OwnSandbox(config, (sys.executable, "-P", str(CHILD))) as made:
        yield made


def read(own: OwnSandbox, octets: bytes, media_type: str = HOSTILE, deadline: float = float("inf")) -> list[object]:
    found = own.read(octets, "a", media_type, own.budget(float("inf")), deadline)
    return [one.text for one in found.passages] + [(one.status, one.reason) for one in found.gaps]


def test_a_process_of_ones_own_is_lost_and_replaced(own: OwnSandbox) -> None:
    for document, reason in (
        (b"import ctypes; ctypes.string_at(0)", GapReason.CRASHED),
        (b"while True: pass", GapReason.TIMEOUT),
    ):
        assert read(own, document) == [(GapStatus.UNINSPECTABLE, reason)]
        assert read(own, b"{\\rtf1 hello}", "application/rtf") == ["hello"]


def test_a_process_of_ones_own_that_does_not_come_up() -> None:
    with OwnSandbox(from_values({}), ("/bin/false",)) as made, pytest.raises(TransientError):
        read(made, b"")
