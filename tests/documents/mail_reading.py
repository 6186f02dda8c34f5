"""What is read of a mail, with documents read in this process; and mails to read."""

from mailseal.extract.budget import Budget
from mailseal.extract.mail import inspect
from mailseal.extract.nested import read_document
from mailseal.mail.message import Octets
from mailseal.mail.mime import parse
from mailseal.policy.inspection import Inspection


class Here:
    """The port Documents without a sandbox."""

    def __init__(self, whole: Budget | None = None) -> None:
        self.whole = whole or Budget()
        self.asked: list[str] = []

    def budget(self, deadline: float) -> Budget:
        self.whole.until = deadline
        return self.whole

    def read(self, document: Octets, name: str, media_type: str, budget: Budget, deadline: float) -> Inspection:
        self.asked.append(name)
        return read_document(document, name, media_type, budget)


def read_mail(raw: bytes, budget: Budget | None = None, documents: Here | None = None) -> Inspection:
    return inspect(parse(raw), documents or Here(budget), float("inf"))


def entity(body: bytes, content_type: str = "text/plain", *fields: str) -> bytes:
    """A part, or a mail."""
    header = "".join(f"{field}\r\n" for field in (f"Content-Type: {content_type}", *fields))
    return header.encode() + b"\r\n" + body


def multipart(*parts: bytes, kind: str = "mixed", preamble: bytes = b"", epilogue: bytes = b"") -> bytes:
    boundary = f"=_{len(b''.join(parts))}-{len(parts)}"
    delimited = b"".join(b"--" + boundary.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    body = preamble + b"\r\n" + delimited + b"--" + boundary.encode() + b"--\r\n" + epilogue
    return entity(body, f'multipart/{kind}; boundary="{boundary}"')


def mail(content: bytes, *fields: str) -> bytes:
    header = "".join(f"{field}\r\n" for field in ("From: a@example.org", *fields, "MIME-Version: 1.0"))
    return header.encode() + content
