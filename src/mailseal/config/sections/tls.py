"""[tls]"""

from dataclasses import dataclass
from enum import StrEnum

from mailseal.config import values
from mailseal.config.key import key
from mailseal.config.values import BadValueError

ROOT = "."


class DefaultLevel(StrEnum):
    """How mail goes on from Postfix where nothing else is said."""

    NONE = "none"
    MAY = "may"
    DANE = "dane"
    ENCRYPT = "encrypt"


def _name(raw: object) -> str:
    value = values.text(raw)
    return value if value == ROOT else values.hostname(value.removesuffix("."))


def _optional_name(raw: object) -> str:
    if raw == "":
        return ""
    value = _name(raw)
    if value == ROOT:
        raise BadValueError("must be a name whose signatures are wrong; the root's are not")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsPolicies:
    """TLS from Postfix to the world, asked of us for each next hop: see `tls-policies.md`."""

    default: DefaultLevel = key(
        values.one_of(DefaultLevel),
        "Where no rule, next hop or MTA-STS policy says anything: none; may (if it is offered, any certificate); dane "
        "(the same, but proven where the domain publishes TLSA records, which needs a resolver that validates DNSSEC); "
        "encrypt (any certificate, but TLS or nothing).",
        example='"may"',
        default=DefaultLevel.DANE,
    )
    mta_sts: bool = key(
        values.flag,
        "Whether domains that mail goes to are asked for an MTA-STS policy (RFC 8461), and it is kept.",
        example="false",
        default=True,
    )
    mta_sts_wait_seconds: int = key(
        values.whole(0, 30),
        "How long the first mail to a domain may wait for that domain's MTA-STS policy; then it goes by `default`.",
        example="0",
        default=3,
    )
    dnssec_name: str = key(
        _name,
        "A signed name whose NS records `mailseal check` asks for, to see whether the resolver validates; `.` is the "
        "root.",
        example='"example.com"',
        default=ROOT,
    )
    dnssec_bogus: str = key(
        _optional_name,
        "A name whose signatures are wrong, for which a resolver that validates has no answer; empty: not asked for.",
        example='"dnssec-failed.org"',
        default="",
        default_text="none",
    )
