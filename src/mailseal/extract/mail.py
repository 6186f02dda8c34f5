"""A mail as DLP reads it: header fields, every alternative, attachments, mails in mails (RFC 2045, RFC 2046).

Text and HTML are read here, documents by the port `Documents` in a process of their own. A structure that can be read
in several ways is read in all of them, and is a gap besides.
"""

import binascii
import re
from typing import Protocol

from mailseal.errors import TransientError
from mailseal.extract import html, text
from mailseal.extract.budget import Budget, OverBudgetError
from mailseal.extract.walk import Walk
from mailseal.mail.encoded_word import decode_words
from mailseal.mail.entity import Entity, HeaderField, MimeError
from mailseal.mail.message import Octets
from mailseal.mail.mime import ParsedMessage, parse
from mailseal.policy.inspection import GapReason, GapStatus, Inspection

MAX_PART_BYTES = 256 << 20
_PARAMETER = re.compile(r"""(?:file)?name(\*\d*\*?)?\s*=\s*("[^"]*+"|[^\s;]++)""", re.IGNORECASE)
_ENCRYPTED = frozenset({"application/pgp-encrypted"})
_SMIME = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_SIGNATURES = frozenset(
    {
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
        "application/pgp-signature",
        "application/pgp-keys",
    }
)
_BASE64_RUN = re.compile(rb"(?:[A-Za-z0-9+/]{20,}={0,2}[ \t]*\r?\n?)+")
_ARMOR = "-----BEGIN PGP MESSAGE-----"


class Documents(Protocol):
    """Who reads what is not text."""

    def read(self, document: Octets, name: str, media_type: str, budget: Budget, deadline: float) -> Inspection:
        """What was read of a document."""


class NoDocumentsError(TransientError):
    """Nobody is there who reads documents."""


def inspect(
    parsed: ParsedMessage, documents: Documents | None, deadline: float, budget: Budget | None = None
) -> Inspection:
    """All that can be read of a mail; raises TransientError when documents cannot be read now."""
    reader = _MailReader(documents, deadline)
    walk = Walk(budget or Budget(), reader.file)
    try:
        reader.message(walk, parsed)
    except OverBudgetError as error:
        walk.gap(GapStatus.PARTIAL, error.reason, str(error), "message")
    return walk.inspection()


class _MailReader:
    def __init__(self, documents: Documents | None, deadline: float) -> None:
        self._documents = documents
        self._deadline = deadline

    def message(self, walk: Walk, parsed: ParsedMessage) -> None:
        if parsed.fault is not None:
            self._every_reading(walk, parsed.root, str(parsed.fault))
        for entity in parsed.root.walk():
            self._fields(walk, entity)
            if entity.children:
                self._between(walk, entity)
            else:
                self._leaf(walk, entity)

    def _fields(self, walk: Walk, entity: Entity) -> None:
        for field in entity.fields:
            value = field.value(entity.buffer)
            decoded = decode_words(value)
            walk.say(decoded, field.name or "header")
            if decoded != value:
                walk.say(value, f"{field.name} (as it stands)")
            if field.name in ("content-type", "content-disposition"):
                self._names(walk, entity, field)

    def _names(self, walk: Walk, entity: Entity, field: HeaderField) -> None:
        """File names however a reader puts them together (RFC 2231, RFC 2047)."""
        pieces = [found[1].strip('"') for found in _PARAMETER.findall(field.value(entity.buffer))]
        plain = [re.sub(r"^[\w-]*'[\w-]*'", "", one) for one in pieces]
        joined = "".join(plain)
        names = dict.fromkeys([entity.filename or "", decode_words(joined), _percent(joined)])
        walk.say("\n".join(one for one in names if one), "file name")

    def _between(self, walk: Walk, entity: Entity) -> None:
        for octets in (entity.preamble, entity.epilogue):
            if bytes(octets).strip():
                walk.say("\n".join(text.readings(bytes(octets))), "between the parts")

    def _leaf(self, walk: Walk, entity: Entity) -> None:
        try:
            octets = entity.decoded_body(MAX_PART_BYTES)
            exact = entity.is_exactly_encoded()
        except MimeError as error:
            octets, exact = bytes(entity.body), False
            walk.gap(GapStatus.PARTIAL, GapReason.AMBIGUOUS, str(error), entity.filename or "body")
        if not exact:
            self._loosely(walk, entity)
        kind = entity.content_type
        if kind.malformed:
            self._every_type(walk, octets, entity.filename or "")
        elif kind.type in ("message/rfc822", "message/global") or _is_mail(kind.type, entity.filename):
            walk.descend(octets, entity.filename or "message", "message/rfc822")
        elif kind.type == "text/html":
            self._html(walk, octets, kind.parameters.get("charset", ""), "body (text/html)")
        elif kind.type.startswith(("text/", "message/")):
            self._text(walk, octets, kind.parameters.get("charset", ""), f"body ({kind.type})")
            if entity.filename:
                walk.descend(octets, entity.filename, kind.type)
        elif kind.type in _ENCRYPTED or _is_enveloped(entity):
            walk.gap(GapStatus.UNINSPECTABLE, GapReason.ENCRYPTED, what=entity.filename or "body")
        elif kind.type not in _SIGNATURES:
            walk.descend(octets, entity.filename or "attachment", kind.type)

    def file(self, walk: Walk, octets: bytes, name: str, media_type: str) -> None:
        """A file in a mail: a mail is read here, all else where documents are."""
        if media_type == "message/rfc822":
            try:
                self.message(walk, parse(octets))
            except MimeError as error:
                self._text(walk, octets, "", "text")
                walk.gap(GapStatus.PARTIAL, GapReason.BROKEN, str(error))
            return
        if self._documents is None:
            raise NoDocumentsError("documents cannot be read here")
        found = self._documents.read(octets, name, media_type, walk.budget, self._deadline)
        for passage in found.passages:
            walk.say(passage.text, passage.place)
        for gap in found.gaps:
            walk.gap(gap.status, gap.reason, gap.detail, gap.place)

    def _text(self, walk: Walk, octets: bytes, charset: str, what: str) -> None:
        for reading in text.readings(octets, charset):
            walk.say(reading, what)
            if _ARMOR in reading:
                walk.gap(GapStatus.UNINSPECTABLE, GapReason.ENCRYPTED, what=what)

    def _html(self, walk: Walk, octets: bytes, charset: str, what: str) -> None:
        for reading in text.readings(octets, charset):
            for one in html.readings(reading):
                walk.say(one, what)

    def _every_type(self, walk: Walk, octets: bytes, name: str) -> None:
        walk.gap(GapStatus.PARTIAL, GapReason.AMBIGUOUS, "its type can be read in several ways", name or "body")
        self._text(walk, octets, "", "body")
        self._html(walk, octets, "", "body (text/html)")
        walk.descend(octets, name or "attachment")

    def _loosely(self, walk: Walk, entity: Entity) -> None:
        """What readers who mind less make of the transfer encoding, and the body as it stands."""
        body = bytes(entity.body)
        self._text(walk, body, "", "body (as it stands)")
        self._html(walk, binascii.a2b_qp(body), "", "body (quoted-printable)")
        self._base64_runs(walk, body)

    def _base64_runs(self, walk: Walk, body: bytes) -> None:
        for number, run in enumerate(_BASE64_RUN.findall(body)):
            letters = run.translate(None, b" \t\r\n=")
            walk.descend(binascii.a2b_base64(letters[: len(letters) // 4 * 4]), f"base64 {number + 1}")

    def _every_reading(self, walk: Walk, root: Entity, why: str) -> None:
        """Of a structure that is at fault: all its octets as text, as HTML, and what any encoding may hide."""
        walk.gap(GapStatus.PARTIAL, GapReason.AMBIGUOUS, why, "message")
        body = bytes(root.body)
        self._text(walk, body, "", "message (as it stands)")
        self._html(walk, body, "", "message (as HTML)")
        self._html(walk, binascii.a2b_qp(body), "", "message (quoted-printable)")
        self._base64_runs(walk, body)


def _percent(name: str) -> str:
    octets = re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes.fromhex(found[1].decode()), name.encode())
    return octets.decode("utf-8", "replace")


def _is_mail(kind: str, name: str | None) -> bool:
    return bool(name) and str(name).lower().endswith(".eml") and kind in ("application/octet-stream", "text/plain")


def _is_enveloped(entity: Entity) -> bool:
    kind = entity.content_type
    wanted = kind.parameters.get("smime-type", "").lower()
    return kind.type in _SMIME and wanted not in ("signed-data", "certs-only", "compressed-data")
