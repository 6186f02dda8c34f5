"""A journal report with the mail in it opened, by the keys of the users whom it names, and by nobody else's.

Every other octet of the report stays. A mail that did not come encrypted stays as it is too, signed or not: an archive
is to hold what was sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mailseal.errors import PermanentError
from mailseal.mail.address import Address
from mailseal.mail.embedded import EmbeddingError, replace_embedded
from mailseal.mail.header import authors, decoded_subject
from mailseal.mail.journal_report import JournalReport, JournalReportError, read_report, returned_reports
from mailseal.mail.message import Octets
from mailseal.mail.mime import Entity, MimeError, ParsedMessage, parse
from mailseal.methods import METHODS
from mailseal.methods.layer import Layer, Opening
from mailseal.pipeline.assemble import assemble, entity_chunks
from mailseal.pipeline.hidden_subject import subject_of_opened
from mailseal.pipeline.marks import forged_fields, result_headers
from mailseal.pipeline.open_path import (
    ALWAYS_OPENED_BYTES,
    MAX_OPENED_BYTES,
    MAX_OPENED_RATIO,
    Opened,
    held_by,
    open_mail,
)
from mailseal.policy.model import MethodName, Party
from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.policy.settings import Settings
from mailseal.ports import Gateway

Held = Mapping[MethodName, tuple[str, ...]]


class NotOpenedError(PermanentError):
    """The mail in a report stays encrypted, or there is no report that can be read; `reasons` say why."""

    def __init__(self, reasons: tuple[Reason, ...]) -> None:
        super().__init__("a journal report was not opened")
        self.reasons = reasons


@dataclass(frozen=True, slots=True)
class OpenedReport:
    """The report as it goes to the archive, and what the log says of the mails in it."""

    chunks: tuple[Octets, ...]
    decrypted: bool
    reasons: tuple[Reason, ...]
    details: tuple[tuple[str, str], ...]


def open_report(parsed: ParsedMessage, gateway: Gateway, settings: Settings, at: datetime) -> OpenedReport:
    """Open a report for an archive with these settings; raises NotOpenedError and TransientError."""
    if parsed.fault is not None:
        raise _unreadable(parsed.fault)
    try:
        return _Opener(gateway, settings, at, parsed.root).opened()
    except (JournalReportError, EmbeddingError, MimeError) as error:
        raise _unreadable(error) from None


def _unreadable(error: PermanentError) -> NotOpenedError:
    return NotOpenedError((because(ReasonCode.JOURNAL_UNREADABLE, detail=error),))


class _Opener:
    """Of one report: one budget of octets for all mails in it."""

    def __init__(self, gateway: Gateway, settings: Settings, at: datetime, root: Entity) -> None:
        self._gateway = gateway
        # The archive gets what was sent: with its signatures, without tags.
        self._settings = replace(
            settings,
            subject_tags=False,
            remove_signature=False,
            harvest_certificates=False,
            pgp_harvest_keys=False,
        )
        self._at = at
        self._root = root
        size = root.end - root.start
        self._left = min(MAX_OPENED_BYTES, max(ALWAYS_OPENED_BYTES, MAX_OPENED_RATIO * size))
        self._mails: list[Opened] = []

    def opened(self) -> OpenedReport:
        returned = returned_reports(self._root)
        replaced = self._in_returned(returned) if returned else self._in_report(self._root)
        chunks: tuple[Octets, ...] = (self._root.buffer,)
        if replaced:
            chunks = replace_embedded(self._root, replaced)
        return OpenedReport(
            chunks,
            decrypted=bool(replaced),
            reasons=tuple(reason for one in self._mails for reason in one.reasons),
            details=tuple(pair for one in self._mails for pair in one.details),
        )

    def _in_returned(self, carriers: tuple[Entity, ...]) -> list[tuple[Entity, bytes]]:
        """A report that came back: what came with it is the report about that."""
        replaced = []
        for carrier in carriers:
            root = self._parsed(carrier)
            if found := self._in_report(root):
                replaced.append((carrier, b"".join(replace_embedded(root, found))))
        return replaced

    def _in_report(self, root: Entity) -> list[tuple[Entity, bytes]]:
        report = read_report(root)
        return [(part, octets) for part in report.mails if (octets := self._mail(part, report)) is not None]

    def _parsed(self, part: Entity) -> Entity:
        parsed = parse(part.decoded_body(len(part.body)))
        if parsed.fault is not None:
            raise parsed.fault
        return parsed.root

    def _mail(self, part: Entity, report: JournalReport) -> bytes | None:
        """The mail in a part, decrypted; None if there was nothing to decrypt."""
        parsed = parse(part.decoded_body(len(part.body)))
        root = parsed.root
        protected = [one for one in root.walk() if self._is_protected(one)]
        if not protected:
            return None
        if parsed.fault is not None:
            raise parsed.fault
        sealed = any(one.content_type.type != "multipart/signed" for one in protected)
        opened = open_mail(root, self._opening(root, self._held(report.users) if sealed else {}))
        self._mails.append(opened)
        if _stays_sealed(opened) or (not opened.decrypted and _is_overlooked(protected, opened)):
            reasons = (*opened.reasons, because(ReasonCode.JOURNAL_NOT_OPENED))
            raise NotOpenedError(tuple(one for one in reasons if one.code is not ReasonCode.OPENED))
        if not opened.decrypted:
            return None
        octets = b"".join(_decrypted(root, opened))
        self._left = max(0, self._left - len(octets))
        return octets

    def _is_protected(self, entity: Entity) -> bool:
        return any(method.recognise(entity, self._settings) is not None for method in METHODS.values())

    def _opening(self, root: Entity, held: Held) -> Opening:
        party, gateway = Party(None, internal=True, settings=self._settings), self._gateway
        return Opening(party, held, gateway.certificates, gateway.pgp, self._at, authors(root), self._left)

    def _held(self, users: tuple[Address, ...]) -> Held:
        """Whatever keys those of the users have who are ours; what others have is no business of this mail."""
        held: dict[MethodName, dict[str, None]] = {}
        for user in users:
            if self._gateway.directory.party(user).internal:
                for method, keys in held_by(self._gateway, user).items():
                    held.setdefault(method, {}).update(dict.fromkeys(keys))
        return {method: tuple(keys) for method, keys in held.items()}


def _is_clear(kind: str) -> bool:
    return kind.endswith("-signed")


def _stays_sealed(opened: Opened) -> bool:
    """Whether there is a layer, other than a signature, that could not be taken off.

    A part beside others is decrypted in no mail (EFAIL); it counts where nothing else was decrypted.
    """
    shut: list[Layer] = [layer for layer in opened.layers if not layer.ok and not _is_clear(layer.kind)]
    return any(layer.covers for layer in shut) or (bool(shut) and not opened.decrypted)


def _is_overlooked(protected: Sequence[Entity], opened: Opened) -> bool:
    """Whether something other than a signature is told by no layer: of parts beside others, only the first ones are."""
    told = {layer.part for layer in opened.layers}
    return any(one.path not in told for one in protected if one.content_type.type != "multipart/signed")


def _decrypted(root: Entity, opened: Opened) -> tuple[Octets, ...]:
    content = opened.content or root
    subject, outside = subject_of_opened(root, content), decoded_subject(root)
    return assemble(
        root,
        remove=forged_fields(root),
        subject=None if subject == outside else subject,
        prepend=result_headers(opened.layers),
        entity=entity_chunks(content),
    )
