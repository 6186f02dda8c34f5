"""How a session of Postfix counts in a TLS report: under which policy it was, and what came of it (RFC 8460 §4.3).

What a domain has published decides, not what an administrator here has set on top of it: a server that does not keep a
rule of ours has done nothing wrong.
"""

from dataclasses import dataclass

from mailseal.mail.tls_report import PolicyType, ResultType
from mailseal.postfix.tls_choice import Choice, Source, StsFacts, StsMode
from mailseal.postfix.tls_policy import Level
from mailseal.postfix.tls_sessions import Fault, Grade, TlsSession, Trouble

_BY_TROUBLE = {
    Trouble.NOT_OFFERED: ResultType.STARTTLS_NOT_SUPPORTED,
    Trouble.REFUSED: ResultType.STARTTLS_NOT_SUPPORTED,
    Trouble.HANDSHAKE: ResultType.VALIDATION_FAILURE,
    Trouble.TLSA_UNKNOWN: ResultType.DNSSEC_INVALID,
    Trouble.TLSA_UNUSABLE: ResultType.TLSA_INVALID,
    Trouble.NO_TLSA: ResultType.DANE_REQUIRED,
    Trouble.NO_DNSSEC: ResultType.DANE_REQUIRED,
}
_BY_FAULT = {
    Fault.EXPIRED: ResultType.CERTIFICATE_EXPIRED,
    Fault.UNTRUSTED: ResultType.CERTIFICATE_NOT_TRUSTED,
    Fault.OTHER_NAME: ResultType.CERTIFICATE_HOST_MISMATCH,
}
_ABOUT_TLSA = frozenset({Trouble.TLSA_UNKNOWN, Trouble.TLSA_UNUSABLE, Trouble.NO_TLSA, Trouble.NO_DNSSEC})
_ONLY_WITH_TLSA = frozenset({Trouble.UNPROVEN, Trouble.NOT_OFFERED, Trouble.REFUSED})
"""With the level `dane` these come only where there are TLSA records: without them it is `may`."""


@dataclass(frozen=True, slots=True)
class Result:
    """`failure`: None for success. `reason`: in Postfix's words, "" for none."""

    type: PolicyType
    failure: ResultType | None
    reason: str = ""


def result_of(session: TlsSession, sts: StsFacts | None, choice: Choice) -> Result:
    """How a session counts, with what its domain publishes, and what Postfix was told for it."""
    if _was_dane(session, choice.policy.level):
        return _under_dane(session)
    if sts is not None and choice.source is not Source.RULE and _was_sts(session, sts.mode):
        return _under_sts(session, sts)
    return Result(PolicyType.NONE, _opportunistic(session), session.detail)


def _was_dane(session: TlsSession, level: Level) -> bool:
    if session.trouble in _ABOUT_TLSA:
        return True
    if level is Level.DANE_ONLY:
        return True
    return level is Level.DANE and (session.grade is Grade.VERIFIED or session.trouble in _ONLY_WITH_TLSA)


def _was_sts(session: TlsSession, mode: StsMode) -> bool:
    if mode is StsMode.ENFORCE:  # else it was a mail to a domain whose policy was not known yet
        return session.trouble is not None or session.grade is Grade.VERIFIED
    return mode is StsMode.TESTING


def _under_dane(session: TlsSession) -> Result:
    if session.trouble is None and session.grade is Grade.VERIFIED:
        return Result(PolicyType.TLSA, None)
    failure = _BY_TROUBLE.get(session.trouble) if session.trouble else None
    return Result(PolicyType.TLSA, failure or ResultType.VALIDATION_FAILURE, session.detail)


def _under_sts(session: TlsSession, sts: StsFacts) -> Result:
    failure: ResultType | None = None
    reason = session.detail
    if session.trouble is Trouble.UNPROVEN:
        failure = _BY_FAULT.get(session.fault or Fault.OTHER, ResultType.VALIDATION_FAILURE)
    elif session.trouble is not None or session.grade is None:
        failure = _opportunistic(session)
    elif session.grade in (Grade.UNTRUSTED, Grade.ANONYMOUS):  # a policy that is being tested: it was sent all the same
        failure = ResultType.CERTIFICATE_NOT_TRUSTED
    elif session.grade is Grade.TRUSTED and not _named(session.host, sts.names):
        failure, reason = ResultType.VALIDATION_FAILURE, "the policy does not name the MX host"
    return Result(PolicyType.STS, failure, reason)


def _opportunistic(session: TlsSession) -> ResultType | None:
    """TLS of any kind is a success."""
    if session.grade is not None:
        return None
    if session.trouble is None:
        return ResultType.STARTTLS_NOT_SUPPORTED
    return _BY_TROUBLE.get(session.trouble, ResultType.VALIDATION_FAILURE)


def _named(host: str, names: tuple[str, ...]) -> bool:
    """Whether an MX host is one of the policy's (RFC 8461 §4.1)."""
    host = host.lower()
    return any(
        host == name or (name.startswith("*.") and host.partition(".")[2] == name.removeprefix("*.")) for name in names
    )
