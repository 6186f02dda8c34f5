"""What the methods can do for somebody now, and why not, in words for a table."""

from collections.abc import Sequence
from dataclasses import dataclass

from mailseal.policy.model import MethodName
from mailseal.policy.reason import Reason
from mailseal.store.abilities import Ability
from mailseal.web.words import reason_text

SHORT = 16
"""Digits of a fingerprint in a table."""


@dataclass(frozen=True, slots=True)
class Row:
    """One method. Each of the three is told by the keys it would use, or by why it cannot."""

    method: MethodName
    encrypts_to: tuple[str, ...]
    why_not: str
    signs_with: str
    why_not_sign: str
    opens_with: tuple[str, ...]


def rows(found: Sequence[Ability]) -> list[Row]:
    """In the order in which the methods are tried."""
    return [
        Row(one.method, one.encrypts_to, _text(one.why_not), one.signs_with, _text(one.why_not_sign), one.opens_with)
        for one in found
    ]


def _text(reason: Reason | None) -> str:
    """Without whose it is, which the page says; the name of a key as short as elsewhere in it."""
    if reason is None:
        return ""
    told = tuple((name, _value(name, value)) for name, value in reason.parameters if name != "address")
    return reason_text(Reason(reason.code, told))


def _value(name: str, value: str) -> str:
    return value[:SHORT] if name == "fingerprint" else value
