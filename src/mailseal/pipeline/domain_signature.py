"""DKIM signatures as the last change of a copy that leaves (RFC 6376 §5): for the domain of its one author.

A signature that cannot be made for good leaves the mail unsigned, with the reason in the log: it protects no secret. A
key that is not at hand now defers the mail, which unsigned might be refused or marked as a forgery by its readers.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from mailseal.dkim.fields import Mail
from mailseal.dkim.sign import DkimKey, Form, sign
from mailseal.errors import PermanentError
from mailseal.mail.address import Address
from mailseal.mail.header import authors
from mailseal.mail.message import Octets
from mailseal.mail.mime import MimeError, parse
from mailseal.pipeline.copy import Copy
from mailseal.pipeline.run import Run
from mailseal.pipeline.sender import Sender
from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.policy.settings import Settings
from mailseal.ports import Authentication, DomainKeys, Gateway

MAX_DOMAINS_ABOVE = 8


def keys_for(keys: DomainKeys, domain: str) -> Sequence[DkimKey]:
    """The keys of a domain, else those of the nearest domain above it that has some; raises TransientError.

    Readers take both for the domain's own, unless it has said otherwise (relaxed alignment, RFC 7489 §3.1.1).
    """
    for _ in range(MAX_DOMAINS_ABOVE):
        if found := keys.signing(domain):
            return found
        domain = domain.partition(".")[2]
        if "." not in domain:
            break
    return ()


def author_to_sign_for(run: Run, sender: Sender) -> Address | None:
    """The single internal From of a mail that may be signed for it; None: the mail is not signed for a domain."""
    found = authors(run.root)
    if len(found) != 1 or not sender.ours:
        return None
    (author,) = found
    if run.envelope.sender is None:  # a report of a server of ours; of a login nobody knows whose From it may write
        return None if run.envelope.submission else author
    return author if author == sender.identity else None


def signed_for(author: Address | None, run: Run, copy: Copy, policy: Settings) -> Copy:
    """The copy with a signature of each key of the author's domain; raises TransientError."""
    authentication = run.gateway.authentication
    if author is None or authentication is None or not policy.dkim_sign:
        return copy
    valid = timedelta(days=policy.dkim_valid_days) or None
    fields, made, reasons = _signatures(authentication, author, copy.chunks, run.at, valid)
    return replace(
        copy,
        chunks=(b"".join(fields), *copy.chunks) if fields else copy.chunks,
        details=(*copy.details, *(("dkim", text) for text in made)),
        reasons=(*copy.reasons, *reasons),
    )


def own_mail_signed(gateway: Gateway, content: bytes, at: datetime) -> tuple[Octets, ...]:
    """A mail that the gateway itself has written, signed if the domain of its From has a key; raises TransientError."""
    if gateway.authentication is None:
        return (content,)
    try:
        found = authors(parse(content).root)
    except MimeError:
        return (content,)
    if len(found) != 1 or found[0] is None:
        return (content,)
    fields, _, _ = _signatures(gateway.authentication, found[0], (content,), at, None)
    return (*fields, content)


def _signatures(
    authentication: Authentication,
    author: Address,
    chunks: Sequence[Octets],
    at: datetime,
    valid: timedelta | None,
) -> tuple[list[bytes], list[str], list[Reason]]:
    """The fields, what the log says of them, and why others could not be made."""
    fields: list[bytes] = []
    made: list[str] = []
    reasons: list[Reason] = []
    try:
        keys = keys_for(authentication.keys, author.domain)
        if not keys:
            return fields, made, reasons
        mail = Mail.of_chunks(chunks)
        for key in keys:
            fields += sign(mail, [key], at, Form(valid=valid))
            made.append(f"{key.domain} {key.selector} {key.algorithm}")
    except PermanentError as error:  # never out of here: the method that has encrypted the copy would be crossed out
        reasons.append(because(ReasonCode.DKIM_NOT_SIGNED, detail=error))
    return fields, made, reasons
