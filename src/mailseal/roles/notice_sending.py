"""The job that sends notices: rendered in the reader's language, signed, marked, given to the next hop.

A template that cannot be used is replaced by the shipped one. What cannot be sent is tried again, then given up: the
mail that it is about knows nothing of that.
"""

import logging
from collections.abc import Mapping, Sequence
from uuid import UUID

from mailseal.errors import MailsealError, PermanentError
from mailseal.mail.address import Address
from mailseal.mail.mime import parse
from mailseal.methods import METHODS
from mailseal.notices import catalogue, compose, mark
from mailseal.notices.choose import CATALOGUE, Chosen, choose
from mailseal.notices.compose import Letter
from mailseal.notices.errors import TemplateError
from mailseal.notices.facts import Told
from mailseal.notices.render import Rendered, Values, render, summary_of, values_of
from mailseal.notices.template import Part
from mailseal.policy.model import MethodName, Party
from mailseal.policy.notice_kind import NoticeKind, Role
from mailseal.policy.reason import Reason
from mailseal.ports import Gateway, Notice
from mailseal.roles import own_mail
from mailseal.store import notice_requests, notice_templates
from mailseal.store.jobs import MAX_ATTEMPTS, Job
from mailseal.store.notice_requests import REQUEST, StoreNotices, Taken
from mailseal.wiring.gateway import Node

logger = logging.getLogger(__name__)


def send_notice(node: Node, job: Job) -> float | None:
    """Send what a request, and others with it, ask for; as of `handlers.Handler`."""
    request = UUID(str(job.payload[REQUEST]))
    reader = notice_requests.reader_of(request)
    if reader is None:
        return None
    party = node.gateway.directory.party(reader)
    taken = notice_requests.take(job, request, party.settings.notices_per_hour)
    if not isinstance(taken, Taken):
        return taken
    try:
        _send(node, job, party, taken)
    except Exception as error:
        if isinstance(error, PermanentError) or job.attempts >= MAX_ATTEMPTS:
            # The text of an error that is none of ours may hold what the notice is about.
            notice_requests.end(job, str(error) if isinstance(error, MailsealError) else type(error).__name__)
        raise
    notice_requests.end(job)
    return None


def _send(node: Node, job: Job, party: Party, taken: Taken) -> None:
    notices = StoreNotices(node.kek).open(taken.requests)
    reader = party.address
    if not notices or reader is None:
        raise PermanentError("nothing of the notice can be read any more")
    letter = Letter(
        sender=author_of(party, node.config.hostname),
        to=reader,
        message_id=f"<{job.id.hex}@{node.config.hostname}>",
        at=taken.at,
        answers=notices[0].facts.message_id if notices[0].role is Role.SENDER else "",
    )
    content = written(node, letter, rendered(node, party, notices))
    settings = party.settings
    envelope_from = Address.parse(settings.notice_envelope_from) if settings.notice_envelope_from else None
    own_mail.send(node.gateway, job, content, envelope_from, reader, notices[0].hop)
    logger.info("a notice of kind %s was sent on, for %d copies", notices[0].kind, len(notices))


def author_of(party: Party, hostname: str) -> Address:
    """Who writes notices to somebody."""
    if party.settings.notice_from:
        return Address.parse(party.settings.notice_from)
    at_home = party.internal and party.address is not None
    return Address.parse(f"postmaster@{party.address.domain if at_home and party.address else hostname}")


def rendered(node: Node, party: Party, notices: Sequence[Notice]) -> Rendered:
    """What the notices say together, by the reader's templates, or the shipped ones if those are broken."""
    known = catalogue.load(node.config.notices.folder)
    language = known.language(party.settings.notice_language)
    told: dict[bytes, list[Told]] = {}
    for one in notices:
        sender = "" if one.sender is None else str(one.sender)
        told.setdefault(one.attempt, []).append(
            Told(one.kind, one.role, one.attempt, str(one.about), sender, one.facts)
        )
    mails = list(told.values())
    reader, gateway = str(party.address), node.config.hostname
    if len(mails) == 1:
        kind, values = notices[0].kind, values_of(mails[0], reader, gateway, known, language)
    else:
        kind, values = NoticeKind.SUMMARY, summary_of(mails, reader, gateway, known, language)
    chosen = choose(kind, language, notice_templates.templates_for(reader), known)
    return _rendered(kind, values, chosen, language, known)


def _rendered(
    kind: NoticeKind,
    values: Values,
    chosen: Mapping[Part, Chosen],
    language: catalogue.Language,
    known: catalogue.Catalogue,
) -> Rendered:
    try:
        return render(values, lambda part: chosen[part].text)
    except TemplateError as error:
        origins = {one.origin or "everybody" for one in chosen.values() if one.origin != CATALOGUE}
        logger.error("the template %s of %s cannot be used: %s", kind, ", ".join(sorted(origins)), error)
    try:
        return render(values, lambda part: known.template(kind, part, language))
    except TemplateError as error:
        logger.error("the template %s of the language %s cannot be used: %s", kind, language.code, error)
    return render(values, lambda part: catalogue.shipped()[catalogue.ENGLISH].templates[kind, part])


def written(node: Node, letter: Letter, words: Rendered) -> bytes:
    """The message as it is sent but for its DKIM signature; raises TransientError."""
    entity = _signed(node.gateway, compose.entity(letter, words), letter)
    content = compose.message(compose.header(letter, words), entity)
    keys = node.gateway.notice_keys
    if keys is None:
        return content
    now = node.gateway.clock.now()
    return mark.mark(keys.known()[0], parse(content).root, now) + content


def _signed(gateway: Gateway, entity: bytes, letter: Letter) -> bytes:
    """The entity signed (RFC 8551) if its author has a certificate and a key; unsigned where that fails for good."""
    settings = gateway.directory.party(letter.sender).settings
    smime = METHODS[MethodName.SMIME]
    signer = smime.signer(gateway, letter.sender, settings, gateway.clock.now())
    if isinstance(signer, Reason) or not settings.sign or not settings.smime:
        return entity
    try:
        made = smime.sign(gateway, entity, signer, (), settings, gateway.clock.now())
    except PermanentError as error:
        logger.warning("a notice could not be signed: %s", error)
        return entity
    return b"".join(bytes(one) for one in made.entity)
