"""TLS reports: how sessions with the mail servers of a domain went on a day (RFC 8460 §4).

What comes from outside is read within bounds of size, number and nesting, and only what the RFC names is kept of it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NoReturn

from mailseal.errors import PermanentError
from mailseal.mail.address import AddressError, domain_to_ascii

MAX_JSON_BYTES = 2 << 20
"""Lists of nothing take twenty times the room when they are read; reports of the largest senders have some 100 KB."""
MAX_POLICIES = 100
MAX_FAILURES = 200
"""Details that are kept of one policy; the numbers of its summary are of all."""
MAX_STRINGS = 100
MAX_TEXT_CHARS = 400
MAX_COUNT = (1 << 53) - 1
"""What every reader of JSON has integers up to (RFC 8259 §6)."""
EARLIEST, LATEST = datetime(2015, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)

_NOT_PRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


class TlsReportError(PermanentError):
    """Not a TLS report, or not one that can be read within bounds."""


class PolicyType(StrEnum):
    """What a domain has published (§4.4). NONE: nothing, so TLS was opportunistic."""

    STS = "sts"
    TLSA = "tlsa"
    NONE = "no-policy-found"


class ResultType(StrEnum):
    """How a session failed (§4.3)."""

    STARTTLS_NOT_SUPPORTED = "starttls-not-supported"
    CERTIFICATE_HOST_MISMATCH = "certificate-host-mismatch"
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_NOT_TRUSTED = "certificate-not-trusted"
    VALIDATION_FAILURE = "validation-failure"
    TLSA_INVALID = "tlsa-invalid"
    DNSSEC_INVALID = "dnssec-invalid"
    DANE_REQUIRED = "dane-required"
    STS_POLICY_FETCH_ERROR = "sts-policy-fetch-error"
    STS_POLICY_INVALID = "sts-policy-invalid"
    STS_WEBPKI_INVALID = "sts-webpki-invalid"


@dataclass(frozen=True, slots=True)
class AppliedPolicy:
    """The policy that sessions were under. `strings`: its lines, or TLSA records; `mx_hosts`: its names and patterns.

    `type` is a PolicyType; of a report from outside it may be another text.
    """

    type: str
    domain: str
    strings: tuple[str, ...] = ()
    mx_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failures:
    """So many sessions that failed alike. `result` is a ResultType; of a report from outside it may be another text."""

    result: str
    sessions: int
    sending_address: str = ""
    mx: str = ""
    mx_address: str = ""
    reason: str = ""
    information: str = ""


@dataclass(frozen=True, slots=True)
class PolicyReport:
    """The sessions under one policy."""

    policy: AppliedPolicy
    succeeded: int
    failed: int
    failures: tuple[Failures, ...] = ()


@dataclass(frozen=True, slots=True)
class TlsReport:
    """One report. `contact` is an address or a text with one; times are aware."""

    organization: str
    contact: str
    report_id: str
    begins: datetime
    ends: datetime
    policies: tuple[PolicyReport, ...]


# ---- written


def to_json(report: TlsReport) -> bytes:
    """The report as it is sent (§4.4)."""
    value = {
        "organization-name": report.organization,
        "date-range": {"start-datetime": _time(report.begins), "end-datetime": _time(report.ends)},
        "contact-info": report.contact,
        "report-id": report.report_id,
        "policies": [_policy(one) for one in report.policies],
    }
    return json.dumps(value, ensure_ascii=False, indent=1).encode()


def policy_to_json(policy: AppliedPolicy) -> dict[str, Any]:
    """A policy as a JSON value, without what is empty."""
    value: dict[str, Any] = {"policy-type": str(policy.type), "policy-domain": policy.domain}
    if policy.strings:
        value["policy-string"] = list(policy.strings)
    if policy.mx_hosts:
        value["mx-host"] = list(policy.mx_hosts)
    return value


def failures_to_json(failures: Failures) -> dict[str, Any]:
    """The same of failures."""
    value = {
        "result-type": str(failures.result),
        "sending-mta-ip": failures.sending_address,
        "receiving-mx-hostname": failures.mx,
        "receiving-ip": failures.mx_address,
        "failed-session-count": failures.sessions,
        "failure-reason-code": failures.reason,
        "additional-information": failures.information,
    }
    return {name: one for name, one in value.items() if one not in ("", None)}


def _policy(report: PolicyReport) -> dict[str, Any]:
    value: dict[str, Any] = {
        "policy": policy_to_json(report.policy),
        "summary": {
            "total-successful-session-count": report.succeeded,
            "total-failure-session-count": report.failed,
        },
    }
    if report.failures:
        value["failure-details"] = [failures_to_json(one) for one in report.failures]
    return value


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# ---- read


def from_json(octets: bytes) -> TlsReport:
    """Read a report; raises TlsReportError."""
    if len(octets) > MAX_JSON_BYTES:
        raise TlsReportError("the report is too long")
    try:
        value = json.loads(octets.decode("utf-8-sig"), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise TlsReportError("the report is no JSON") from None
    report = _object(value, "the report")
    days = _object(report.get("date-range"), "date-range")
    begins, ends = _moment(days.get("start-datetime")), _moment(days.get("end-datetime"))
    if not begins <= ends:
        raise TlsReportError("the report ends before it begins")
    policies = _list(report.get("policies"), "policies")
    if not 1 <= len(policies) <= MAX_POLICIES:
        raise TlsReportError(f"a report has between 1 and {MAX_POLICIES} policies")
    return TlsReport(
        _text(report.get("organization-name")),
        _text(report.get("contact-info")),
        _text(report.get("report-id")),
        begins,
        ends,
        tuple(_read_policy(one) for one in policies),
    )


def policy_from_json(value: object) -> AppliedPolicy:
    """Read a policy; raises TlsReportError."""
    policy = _object(value, "policy")
    return AppliedPolicy(
        _text(policy.get("policy-type")).lower(),
        _domain(policy.get("policy-domain")),
        _texts(policy.get("policy-string")),
        _texts(policy.get("mx-host")),
    )


def failures_from_json(value: object) -> Failures:
    """Read failures; raises TlsReportError."""
    found = _object(value, "failure-details")
    return Failures(
        _text(found.get("result-type")).lower(),
        _count(found.get("failed-session-count", 0)),
        _text(found.get("sending-mta-ip")),
        _text(found.get("receiving-mx-hostname")),
        _text(found.get("receiving-ip")),
        _text(found.get("failure-reason-code")),
        _text(found.get("additional-information", found.get("additional-info-uri"))),
    )


def _read_policy(value: object) -> PolicyReport:
    found = _object(value, "a policy")
    summary = _object(found.get("summary"), "summary")
    details = _list(found.get("failure-details") or [], "failure-details")
    return PolicyReport(
        policy_from_json(found.get("policy")),
        _count(summary.get("total-successful-session-count")),
        _count(summary.get("total-failure-session-count")),
        tuple(failures_from_json(one) for one in details[:MAX_FAILURES]),
    )


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def _object(value: object, what: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise TlsReportError(f"{what} is no object")
    return value


def _list(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise TlsReportError(f"{what} is no list")
    return value


def _text(value: object) -> str:
    """One line of text, cut; what is none is none: readers of other makes are lax, and so are writers."""
    return (
        _NOT_PRINTABLE.sub(" ", value[: 2 * MAX_TEXT_CHARS]).strip()[:MAX_TEXT_CHARS] if isinstance(value, str) else ""
    )


def _texts(value: object) -> tuple[str, ...]:
    """A list of texts; some write a text where the list has one."""
    items = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return tuple(text for one in items[:MAX_STRINGS] if (text := _text(one)))


def _domain(value: object) -> str:
    try:
        return domain_to_ascii(_text(value).removesuffix("."))
    except AddressError:
        raise TlsReportError("policy-domain is no domain") from None


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_COUNT:
        raise TlsReportError("a number of sessions is none")
    return value


def _moment(value: object) -> datetime:
    try:
        at = datetime.fromisoformat(value if isinstance(value, str) else "")
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise TlsReportError("a time of the report is none") from None
    if not EARLIEST <= at <= LATEST:
        raise TlsReportError("a time of the report is out of all bounds")
    return at
