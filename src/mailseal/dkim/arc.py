"""Validate an Authenticated Received Chain (RFC 8617 §5.2): its sets, the newest signature, every seal."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mailseal.dkim.algorithms import Algorithm, BadSignatureError, verify_octets
from mailseal.dkim.canon import Canon, header_field
from mailseal.dkim.fields import Field, Mail
from mailseal.dkim.signature import (
    domain_of,
    instance_of,
    read_message_signature,
    selector_of,
    without_value,
)
from mailseal.dkim.tag_list import TagError, base64_of, number_of, parse_tags, required
from mailseal.dkim.verify import FindTexts, Result, UnverifiedError, check, find_key, look_up

MAX_SETS = 50
"""RFC 8617 §4.2.1; also the highest instance."""
RESULTS, SIGNATURE, SEAL = "arc-authentication-results", "arc-message-signature", "arc-seal"
NAMES = (RESULTS, SIGNATURE, SEAL)
"""In the order in which a seal covers them (§5.1.1)."""


class ChainState(StrEnum):
    """The chain validation status (§4.4), and that the DNS could not say."""

    NONE = "none"
    PASS = "pass"  # noqa: S105 -- a state, no password
    FAIL = "fail"
    TEMPERROR = "temperror"


@dataclass(frozen=True, slots=True)
class ArcSet:
    """The three fields of one instance."""

    instance: int
    results: Field
    signature: Field
    seal: Field

    @property
    def fields(self) -> tuple[Field, Field, Field]:
        """In the order in which a seal covers them."""
        return self.results, self.signature, self.seal


@dataclass(frozen=True, slots=True)
class Chain:
    """What a mail brings. `sets` in order, () if they cannot be told apart; `highest`: the largest instance seen.

    `domain`: who sealed last. `over`: a handler before has declared the chain failed; nobody goes on with it (§5.1.3).
    """

    state: ChainState
    cause: str = ""
    sets: tuple[ArcSet, ...] = ()
    highest: int = 0
    domain: str = ""
    over: bool = False


class _ChainError(Exception):
    """Why the chain fails: internal."""


@dataclass(frozen=True, slots=True)
class _Seal:
    field: Field
    instance: int
    algorithm: str
    domain: str
    selector: str
    cv: str
    value: bytes


def validate(mail: Mail, find_texts: FindTexts, at: datetime) -> Chain:
    """The chain of a mail. Never raises for what a mail says."""
    found = [field for field in mail.fields if field.name in NAMES]
    if not found:
        return Chain(ChainState.NONE)
    sets: tuple[ArcSet, ...] = ()
    domain, over = "", False
    try:
        sets = _sets(found)
        seals = [_read_seal(one.seal) for one in sets]
        domain, over = seals[-1].domain, seals[-1].cv == ChainState.FAIL
        _check_states(seals)
        _check_newest(mail, sets[-1], find_texts, at)
        _check_seals(sets, seals, find_texts)
    except (TagError, _ChainError) as error:
        return Chain(ChainState.FAIL, str(error), sets, _highest(found), domain, over)
    except UnverifiedError as error:
        temporary = error.result is Result.TEMPERROR
        state = ChainState.TEMPERROR if temporary else ChainState.FAIL
        return Chain(state, error.cause, sets, len(sets), domain)
    return Chain(ChainState.PASS, "", sets, len(sets), domain)


def _sets(found: Sequence[Field]) -> tuple[ArcSet, ...]:
    """The sets 1, 2, … without a gap, one field of each kind in each (§5.2 step 3A)."""
    by_place: dict[tuple[str, int], Field] = {}
    for field in found:
        place = field.name, _instance(field)
        if place in by_place:
            raise _ChainError("a set has a field twice")
        by_place[place] = field
    count = len(by_place) // len(NAMES)
    if count > MAX_SETS:
        raise _ChainError("too many sets")
    sets = []
    for number in range(1, count + 1):
        fields = [by_place[name, number] for name in NAMES if (name, number) in by_place]
        if len(fields) < len(NAMES):
            raise _ChainError("a set is not whole, or missing")
        sets.append(ArcSet(number, *fields))
    if len(by_place) != count * len(NAMES) or not sets:
        raise _ChainError("a set is not whole, or missing")
    return tuple(sets)


def _instance(field: Field) -> int:
    """Raises TagError."""
    if field.name == RESULTS:  # its other parts are no tags (§4.1.1)
        return instance_of(parse_tags(field.value.partition(";")[0]))
    return instance_of(parse_tags(field.value))


def _highest(found: Sequence[Field]) -> int:
    """The largest instance that can be read, of fields that make no chain."""
    highest = 0
    for field in found:
        try:
            highest = max(highest, _instance(field))
        except TagError:
            continue
    return highest


def _read_seal(field: Field) -> _Seal:
    tags = parse_tags(field.value)
    if "h" in tags or "bh" in tags:  # a seal covers the sets and nothing else (§4.1.3)
        raise _ChainError("a seal names fields")
    number_of(tags, "t")
    return _Seal(
        field,
        instance_of(tags),
        required(tags, "a").lower(),
        domain_of(tags),
        selector_of(tags),
        required(tags, "cv").lower(),
        base64_of(tags, "b"),
    )


def _check_states(seals: Sequence[_Seal]) -> None:
    if seals[-1].cv == ChainState.FAIL:
        raise _ChainError("a handler before has found the chain broken")
    for seal in seals:
        expected = ChainState.NONE if seal.instance == 1 else ChainState.PASS
        if seal.cv != expected:
            raise _ChainError("a seal states what cannot be")


def _check_newest(mail: Mail, newest: ArcSet, find_texts: FindTexts, at: datetime) -> None:
    """Only the newest signature has to be good: those before it may have been broken by who came after (§5.2)."""
    signature = read_message_signature(newest.signature)
    check(signature, find_key(signature, find_texts), mail, at)


def _check_seals(sets: Sequence[ArcSet], seals: Sequence[_Seal], find_texts: FindTexts) -> None:
    prefixes = [b""]
    for one in sets:
        prefixes.append(prefixes[-1] + b"".join(header_field(field.raw, Canon.RELAXED) for field in one.fields))
    for one, seal in zip(reversed(sets), reversed(seals), strict=True):
        if seal.algorithm not in tuple(Algorithm):
            raise _ChainError("the algorithm of a seal is not one that counts")
        record = look_up(seal.domain, seal.selector, find_texts)
        if not record.may_verify(Algorithm(seal.algorithm)):
            raise _ChainError("the key of a seal is not for this")
        octets = prefixes[one.instance - 1] + sealed_octets(one.results.raw, one.signature.raw, seal.field.raw)
        try:
            verify_octets(octets, seal.value, record.key)
        except BadSignatureError:
            raise _ChainError(f"seal {one.instance} does not verify") from None


def sealed_octets(results: bytes, signature: bytes, seal: bytes) -> bytes:
    """What a seal covers of its own set (§5.1.1): itself without the value of b=."""
    own = header_field(without_value(seal), Canon.RELAXED).removesuffix(b"\r\n")
    return header_field(results, Canon.RELAXED) + header_field(signature, Canon.RELAXED) + own
