"""Verify the DKIM signatures of a mail (RFC 6376 §6, RFC 8301, RFC 8463): a verdict with a cause for each."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mailseal.dkim.algorithms import Algorithm, BadSignatureError, verify_octets
from mailseal.dkim.fields import Field, Mail
from mailseal.dkim.record import KeyRecord, RecordError, choose_record, record_name
from mailseal.dkim.signature import Signature, read_signature
from mailseal.dkim.tag_list import TagError
from mailseal.errors import TransientError

MAX_SIGNATURES = 8
"""Looked at, from the top: each costs a look-up in the DNS and perhaps a hash of the body."""

FindTexts = Callable[[str], Sequence[str]]
"""The TXT records of a name, none if there are none; raises TransientError."""


class Result(StrEnum):
    """As RFC 8601 §2.7.1 names them."""

    NONE = "none"
    PASS = "pass"  # noqa: S105 -- a result, no password
    FAIL = "fail"
    POLICY = "policy"
    NEUTRAL = "neutral"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class Cause(StrEnum):
    """Why a signature is not good; the texts are for Authentication-Results and the log."""

    GOOD = "good"
    SYNTAX = "the signature field cannot be read"
    ALGORITHM = "the algorithm is not one that counts"
    QUERY = "the key is not in the DNS"
    TIME = "expired, or made in the future"
    NO_ANSWER = "the DNS cannot say now"
    KEY = "no usable key"
    KEY_USE = "the key is not for this"
    BODY = "the body has changed"
    HEADER = "the header has changed"
    PARTIAL = "only the beginning of the body is signed"
    BEYOND = "signed for more than there is"
    TOO_MANY = "too many signatures"
    AUTHORS = "there is not exactly one From"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one signature. `detail` says more than the cause; `testing`: the domain only tries DKIM (t=y).

    `domain`, `selector`, `algorithm` and `value` (the beginning of b=, RFC 6008) are as the field has them; "" where it
    cannot be read.
    """

    result: Result
    cause: Cause
    domain: str = ""
    selector: str = ""
    algorithm: str = ""
    value: str = ""
    detail: str = ""
    testing: bool = False


class UnverifiedError(Exception):
    """Why a signature does not count: internal to this package, never raised out of it."""

    def __init__(self, result: Result, cause: Cause, detail: str = "") -> None:
        super().__init__(cause)
        self.result = result
        self.cause = cause
        self.detail = detail


def verify(mail: Mail, find_texts: FindTexts, at: datetime) -> tuple[Verdict, ...]:
    """One verdict for each DKIM-Signature from the top down; () if there is none. Never raises for what a mail says."""
    fields = mail.named("dkim-signature")
    verdicts = [_verdict(mail, field, find_texts, at) for field in fields[:MAX_SIGNATURES]]
    if len(fields) > MAX_SIGNATURES:
        verdicts.append(Verdict(Result.POLICY, Cause.TOO_MANY))
    return tuple(verdicts)


def _verdict(mail: Mail, field: Field, find_texts: FindTexts, at: datetime) -> Verdict:
    try:
        signature = read_signature(field)
    except TagError as error:
        return Verdict(Result.NEUTRAL, Cause.SYNTAX, detail=str(error))
    result, cause, detail, testing = Result.PASS, Cause.GOOD, "", False
    try:
        record = find_key(signature, find_texts)
        testing = record.testing
        check(signature, record, mail, at)
    except UnverifiedError as error:
        result, cause, detail = error.result, error.cause, error.detail
    value = base64.b64encode(signature.value[:6]).decode("ascii")
    return Verdict(
        result, cause, signature.domain, signature.selector, signature.algorithm, value, detail, testing=testing
    )


def find_key(signature: Signature, find_texts: FindTexts) -> KeyRecord:
    """The key of a signature that may be one; raises UnverifiedError."""
    if signature.algorithm not in tuple(Algorithm):
        raise UnverifiedError(Result.PERMERROR, Cause.ALGORITHM)
    if signature.query and "dns/txt" not in signature.query:
        raise UnverifiedError(Result.PERMERROR, Cause.QUERY)
    record = look_up(signature.domain, signature.selector, find_texts)
    if not record.may_verify(Algorithm(signature.algorithm)):
        raise UnverifiedError(Result.PERMERROR, Cause.KEY_USE)
    if record.strict and signature.identity != signature.domain:
        raise UnverifiedError(Result.PERMERROR, Cause.KEY_USE, "only for the domain itself")
    return record


def look_up(domain: str, selector: str, find_texts: FindTexts) -> KeyRecord:
    """The published key; raises UnverifiedError."""
    try:
        return choose_record(find_texts(record_name(domain, selector)))
    except RecordError as error:
        raise UnverifiedError(Result.PERMERROR, Cause.KEY, str(error)) from None
    except TransientError:
        raise UnverifiedError(Result.TEMPERROR, Cause.NO_ANSWER) from None


def check(signature: Signature, record: KeyRecord, mail: Mail, at: datetime) -> None:
    """Header, time, then the body, which may be large; raises UnverifiedError."""
    try:
        verify_octets(signature.signed_octets(mail), signature.value, record.key)
    except BadSignatureError:
        raise UnverifiedError(Result.FAIL, Cause.HEADER) from None
    if mail.count_authors() != 1:  # a reader may be shown the one that is not signed (§8.15)
        raise UnverifiedError(Result.POLICY, Cause.AUTHORS)
    if signature.out_of_time(at):
        raise UnverifiedError(Result.POLICY, Cause.TIME)
    digest, total = mail.body_hash(signature.body_canon)
    if signature.length is not None and signature.length != total:
        # Anybody may have appended the rest (§8.2). Whether the beginning is good is not looked at: each signature may
        # have another one, and a large body would be hashed for each.
        raise UnverifiedError(Result.POLICY, Cause.BEYOND if signature.length > total else Cause.PARTIAL)
    if digest != signature.body_hash:
        raise UnverifiedError(Result.FAIL, Cause.BODY)
