"""Mails that stories send, and how they are compared with what came."""

from __future__ import annotations

import itertools

CANARY = b"canary-3f9c1e"
"""Stands in bodies that must never be seen in clear outside."""

_numbers = itertools.count(1)


def mail(sender: str, to: str, *, subject: str = "Quarterly numbers", body: bytes = b"", fields: str = "") -> bytes:
    """A plain text mail with a Message-ID of its own; `fields` are further header lines, each with CRLF."""
    text = body or b"The numbers: " + CANARY + b"\r\nRegards\r\n"
    return (
        f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\n"
        f"Message-ID: <story.{next(_numbers)}@client.example>\r\nDate: Mon, 02 Mar 2026 10:00:00 +0000\r\n{fields}"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    ).encode() + text


def envelope_header(sender: str, to: str, *, subject: str = "Quarterly numbers") -> bytes:
    """The outer fields of a mail whose entity (Content-* and body) comes from openssl, which adds MIME-Version."""
    number = next(_numbers)
    return f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <story.{number}@x.example>\r\n".encode()


def entity(text: bytes = b"") -> bytes:
    """A plain entity to be signed or encrypted."""
    return b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + (text or b"For your eyes: " + CANARY + b"\r\n")


def without_trace(octets: bytes) -> bytes:
    """The mail without the Received fields at its top."""
    while octets[:9].lower() == b"received:":
        end = octets.index(b"\r\n") + 2
        while octets[end : end + 1] in {b" ", b"\t"}:
            end = octets.index(b"\r\n", end) + 2
        octets = octets[end:]
    return octets
