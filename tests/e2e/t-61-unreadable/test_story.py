"""What cannot be read does not leave unread: each form of it in a mail through a running gateway, held or refused.

Each of these mails would leave if DLP had nothing to say: what is beside the point in it is harmless.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import urllib.request
import zlib
from base64 import encodebytes
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from documents.archive_writer import locked, zipped
from documents.cfb_writer import compound
from documents.pdf_writer import line, page_objects, pdf
from harness import hostile_reader
from harness.client import send
from harness.folder import free_port
from harness.mail import mail
from harness.site import smtp_site
from harness.waiting import PATIENCE_SECONDS, wait_until
from mailseal.config import load
from mailseal.errors import TransientError
from mailseal.wiring.gateway import sandbox_documents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.gateway import Gateway
    from harness.sink import Sink

ANNA = "anna@alpha.example"
HELD, BLOCKED, IGNORED = "nora@held.example", "nora@blocked.example", "nora@else.example"
"""By what is set for their domains: held, refused, let go."""
SECRET = "blueprint"
TAKEN_OVER = Path(hostile_reader.__file__).with_name("taken_over")
HANG = b"#%PDF-1.7\nimport time\nwhile True: time.sleep(1)\n"
CRASH = b"#%PDF-1.7\nimport ctypes\nctypes.string_at(0)\n"
LIMITS = {
    "document_seconds": 2,
    "memory_bytes": "256 MiB",
    "text_characters": 500_000,
    "unpacked_bytes": "32 MiB",
    "depth": 4,
    "files": 2000,
}


@dataclass
class House:
    gateway: Gateway
    port: int
    inside: Sink
    outside: Sink

    def send(self, to: str, octets: bytes) -> str:
        return send(self.port, ANNA, [to], octets).end[0]


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    metrics = {"listen": f"127.0.0.1:{free_port()}"}
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", str(TAKEN_OVER))
        with smtp_site("unread", dlp=LIMITS, metrics=metrics, top={"workers": 1}) as (gateway, port, inside, outside):
            settings = ("dlp_uninspectable", "dlp_partial", "dlp_unknown_format")
            domains = ((HELD, "quarantine"), (BLOCKED, "block"))
            gateway.type(
                f"dlp pattern add secret --keyword {SECRET} --action quarantine",
                "dlp assign secret --global",
                *(f"settings set {name} ignore" for name in settings),  # the stricter of two parties' counts
                *(f"settings set {name} {what} --domain {to[5:]}" for name in settings for to, what in domains),
            )
            gateway.wait_until_noticed()
            yield House(gateway, port, inside, outside)


@pytest.fixture
def house(running: House) -> House:
    running.outside.clear()
    return running


def attached(octets: bytes, name: str, media_type: str = "application/octet-stream", *, to: str = HELD) -> bytes:
    """A mail with one attachment."""
    part = f'Content-Type: {media_type}; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n\r\n'.encode()
    body = b"--b\r\n\r\nSee the file.\r\n--b\r\n" + part + encodebytes(octets).replace(b"\n", b"\r\n") + b"--b--\r\n"
    return with_body(body, 'multipart/mixed; boundary="b"', to=to)


def with_body(body: bytes, content_type: str, *, to: str = HELD) -> bytes:
    head = mail(ANNA, to).partition(b"MIME-Version")[0]
    return head + f"MIME-Version: 1.0\r\nContent-Type: {content_type}\r\n\r\n".encode() + body


def nested_zip(levels: int) -> bytes:
    made = zipped({"inner.txt": "harmless"})
    for level in range(levels):
        made = zipped({f"level-{level}.zip": made})
    return made


def encrypted_pdf() -> bytes:
    objects = page_objects([line("harmless")]) | {
        90: b"<</Filter/Standard/V 4/R 4/Length 128/P -4/O("
        + b"o" * 32
        + b")/U("
        + b"u" * 32
        + b")/CF<</StdCF<</CFM/AESV2"
        b"/AuthEvent/DocOpen/Length 16>>>>/StmF/StdCF/StrF/StdCF>>"
    }
    return pdf(
        objects, b"/Root 1 0 R/Encrypt 90 0 R/ID[<00112233445566778899aabbccddeeff><00112233445566778899aabbccddeeff>]"
    )


def pdf_bomb() -> bytes:
    """A page whose content unpacks to 200 MB, as two filters make them of a few hundred octets."""
    twice = zlib.compress(zlib.compress(b" " * (200 << 20), 9), 9)
    objects = page_objects([line("harmless")])
    content = b"<</Filter[/FlateDecode/FlateDecode]/Length %d>>stream\n%s\nendstream"
    return pdf({**objects, 5: content % (len(twice), twice)})


def many_parts(count: int = 10_000) -> bytes:
    return with_body(b"--b\r\n\r\nharmless\r\n" * count + b"--b--\r\n", 'multipart/mixed; boundary="b"')


FORMS = {
    "timeout": lambda: attached(HANG, "a.pdf", hostile_reader.HOSTILE),
    "crash": lambda: attached(CRASH, "a.pdf", hostile_reader.HOSTILE),
    "encrypted zip": lambda: attached(locked(zipped({"a.txt": "harmless"})), "a.zip"),
    "encrypted Office": lambda: attached(
        compound({"EncryptionInfo": b"\4\0\4\0" + bytes(200), "EncryptedPackage": bytes(range(256)) * 20}), "a.docx"
    ),
    "encrypted PDF": lambda: attached(encrypted_pdf(), "a.pdf"),
    "more text than is looked at": lambda: attached(zipped({"a.txt": "harmless words " * 50_000}), "a.zip"),
    "more octets than are unpacked": lambda: attached(zipped({"a.bin": b"\x01" + bytes(40 << 20)}), "a.zip"),
    "zip bomb": lambda: attached(zipped({f"{n}.zip": zipped({"0": bytes(10 << 20)}) for n in range(10)}), "a.zip"),
    "nested archive": lambda: attached(nested_zip(8), "a.zip"),
    "10,000 parts": many_parts,
    "10,000 files": lambda: attached(zipped({f"{n}.txt": "harmless" for n in range(10_000)}), "a.zip"),
    "broken PDF": lambda: attached(b"%PDF-1.7\n1 0 obj\n<</Type/Catalog>>\n", "a.pdf"),
    "PDF bomb": lambda: attached(pdf_bomb(), "a.pdf"),
    "broken zip": lambda: attached(zipped({"a.txt": "harmless " * 100})[:80], "a.zip"),
    "encrypted mail": lambda: attached(b"-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----\n", "a.asc"),
    "unknown": lambda: attached(bytes(range(256)) * 40, "a.bin"),
    "broken structure": lambda: with_body(
        b"--b\r\n\r\nharmless\r\n--b--\r\n", 'multipart/mixed; boundary="b"\r\nContent-Type: text/plain'
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_not_read_is_held(house: House, form: str) -> None:
    assert house.send(HELD, FORMS[form]()).startswith("250 2.0.0 accepted; held")
    assert not house.outside.mails


@pytest.mark.parametrize("form", ["crash", "encrypted zip", "10,000 parts"])
def test_it_is_refused_where_that_is_set(house: House, form: str) -> None:
    assert house.send(BLOCKED, FORMS[form]()).startswith("550 5.7.1")
    assert not house.outside.mails


@pytest.mark.parametrize("form", ["crash", "encrypted zip", "unknown"])
def test_it_leaves_where_that_is_set(house: House, form: str) -> None:
    """That the others do not is their content's doing."""
    assert house.send(IGNORED, FORMS[form]()).startswith("250")
    assert house.outside.wait(1)


def test_what_is_hard_to_read_is_read(house: House) -> None:
    """Where a reader loses what others see, the secret would leave."""
    tags = "<div>" * 300 + SECRET + "</div>" * 300
    words = "x" * 200_000 + f" {SECRET} " + "y" * 200_000
    deep = "<a>" * 100_000 + SECRET
    for octets in (
        with_body(tags.encode() + b"\r\n", "text/html"),
        with_body("".join(words[at : at + 900] + "\r\n" for at in range(0, len(words), 900)).encode(), "text/plain"),
        attached(words.encode(), "a.txt"),
        attached(zipped({"a.html": deep, "b.html": tags}), "a.zip"),
    ):
        assert house.send(IGNORED, octets).startswith("250 2.0.0 accepted; held")
    assert not house.outside.mails


def test_what_is_harmless_leaves(house: House) -> None:
    for octets in (
        attached(zipped({"a.txt": "harmless", "b.zip": zipped({"c.txt": "harmless"})}), "a.zip"),
        attached(pdf(page_objects([line("harmless")])), "a.pdf"),
        with_body(b"<div>" * 300 + b"harmless\r\n", "text/html"),
    ):
        assert house.send(HELD, octets).startswith("250")
    assert len(house.outside.wait(3)) == 3


def test_a_sandbox_that_is_killed_defers_the_mail_that_it_reads_and_no_later_one(house: House) -> None:
    documents = sandbox_documents(load(house.gateway.config, {}))
    replies: list[str] = []
    sending = threading.Thread(
        target=lambda: replies.append(house.send(HELD, attached(HANG, "a.pdf", hostile_reader.HOSTILE)))
    )
    sending.start()
    wait_until(lambda: documents.status().running == 1)
    (role,) = house.gateway.processes("mailseal.roles.sandbox_role")
    os.kill(role, signal.SIGKILL)
    sending.join(PATIENCE_SECONDS)
    assert [reply[:3] for reply in replies] == ["451"]
    harmless = attached(zipped({"a.txt": "harmless"}), "a.zip")
    wait_until(lambda: house.send(HELD, harmless).startswith("250"))
    assert house.outside.wait(1)


def test_what_was_not_read_is_counted(house: House) -> None:
    """After all others."""
    with urllib.request.urlopen(house.gateway.metrics, timeout=PATIENCE_SECONDS) as answer:
        page = answer.read().decode()
    for reason in ("timeout", "crashed", "encrypted", "too-deep", "too-large", "broken"):
        assert f'mailseal_documents_unread_total{{reason="{reason}"}}' in page
    assert "mailseal_document_seconds_count" in page


def test_it_goes_on_through_a_reload(house: House) -> None:
    documents = sandbox_documents(load(house.gateway.config, {}))
    (before,) = house.gateway.processes("mailseal.roles.sandbox_role")
    os.kill(house.gateway.pid, signal.SIGHUP)

    def is_another() -> bool:
        with contextlib.suppress(TransientError):
            return house.gateway.processes("mailseal.roles.sandbox_role") != [before] and bool(documents.status())
        return False

    harmless = attached(zipped({"a.txt": "harmless"}), "a.zip")
    for count in range(1, 4):
        assert house.send(HELD, harmless).startswith("250")
        house.outside.wait(count)
    wait_until(lambda: is_another() and len(house.gateway.processes("mailseal.roles.sandbox_role")) == 1)
    assert house.send(HELD, harmless).startswith("250")
