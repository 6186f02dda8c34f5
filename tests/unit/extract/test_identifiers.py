"""Figures of message identifiers and boundaries are no numbers; all that only looks like such is read."""

import pytest

from documents.mail_reading import entity, mail, read_mail
from mailseal.extract.identifiers import MAX_IDENTIFIERS
from mailseal.policy.dlp.library import starters
from mailseal.policy.dlp.model import Kind, Pattern
from mailseal.policy.dlp.scanner import Scanner
from mailseal.policy.model import Action

CARD = "4111111111111111"
WORDS = Pattern("w", 1, "words", Kind.KEYWORDS, "nautilus", Action.WARN)
SCANNER = Scanner([next(one.pattern for one in starters() if one.pattern.id == "card"), WORDS])


def found(*fields: str, content: bytes = b"") -> list[str]:
    return [one.name for one in SCANNER.findings(read_mail(mail(content or entity(b"x"), *fields)))]


def parts(boundary: str, parameters: str = "", *, delimiter: str = "") -> bytes:
    line = f"--{delimiter or boundary}".encode()
    body = line + b"\r\n" + entity(b"x") + b"\r\n" + line + b"--\r\n"
    return entity(body, f'multipart/mixed; boundary="{boundary}"{parameters}')


@pytest.mark.parametrize(
    "boundary", [CARD, f"==============={CARD}==", f"=_{CARD}", "4111-1111-1111-1111", f"----{CARD}.7"]
)
def test_the_boundary_of_parts(boundary: str) -> None:
    assert found(content=parts(boundary)) == []
    inner = parts(boundary)
    nested = b"--o\r\n" + inner + b"\r\n--o--\r\n"
    assert found(content=entity(nested, "multipart/mixed; boundary=o")) == []
    assert found(content=entity(mail(inner), "message/rfc822")) == []


@pytest.mark.parametrize(
    "content",
    [
        entity(b"x", f"text/plain; boundary={CARD}"),
        entity(b"x", f"text/plain; bound={CARD}"),
        parts(CARD, f"; name={CARD}"),
        parts("o", f"; name={CARD}"),
        parts(CARD, delimiter="other"),
        parts("4111 1111 1111 1111"),
        parts("o").replace(b"x", CARD.encode()),
    ],
)
def test_what_is_not_the_boundary_is_read(content: bytes) -> None:
    assert found(content=content) == ["Payment card number"]


def test_words_of_a_boundary_are_read() -> None:
    assert found(content=parts(f"=_nautilus-{CARD}")) == ["words"]
    assert found(f"Message-ID: <nautilus.{CARD}@example.org>") == ["words"]


@pytest.mark.parametrize("name", ["Message-ID", "References", "In-Reply-To"])
@pytest.mark.parametrize(
    "value", [f"<{CARD}@example.org>", f"<a.{CARD}.b@[{CARD}]>", "<1@a.test>\r\n <4111-1111.1111-1111@b.test>"]
)
def test_figures_of_identifiers(name: str, value: str) -> None:
    assert found(f"{name}: {value}") == []


@pytest.mark.parametrize(
    "field",
    [
        f"Message-ID: {CARD}",
        f"Message-ID: <{CARD}>",
        f"Message-ID: <1@example.org> ({CARD})",
        f"References: <1@example.org> {CARD} <2@example.org>",
        "References: <4111 1111 1111 1111@example.org>",
        f"In-Reply-To: {CARD}@example.org",
        f"X-Message-ID: <{CARD}@example.org>",
        f"Message-ID: <{'x' * 200}.{CARD}@example.org>",
        f"References: {'<1@a.test> ' * MAX_IDENTIFIERS}<{CARD}@example.org>",
    ],
)
def test_what_is_no_identifier_is_read(field: str) -> None:
    assert found(field) == ["Payment card number"]


def test_a_mail_that_can_be_read_in_several_ways_is_read_as_it_stands() -> None:
    content = parts(CARD).replace(b"\r\n\r\n", f"\r\nContent-Type: text/plain; x={CARD}\r\n\r\n".encode(), 1)
    assert found(content=content) == ["Payment card number"]
