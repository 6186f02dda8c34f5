"""Triggers: words in the subject and header fields by which a sender asks for encryption or a signature.

Whether the sender may ask is not known here: `decide` believes only an authorised internal one.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from mailseal.policy.model import Asked
from mailseal.policy.pattern import PatternError, compile_pattern
from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.policy.settings import Settings
from mailseal.policy.values import split_header_trigger

MAX_STRIP_ROUNDS = 20

Headers = Callable[[str], Sequence[str]]


def asked_by_triggers(subject: str, headers: Headers, *senders: Settings) -> Asked:
    """What the mail asks for by the triggers of any of its senders (the envelope's and, if it differs, From's).

    `subject` is decoded; `headers` gives the values of a field by name, such as `Entity.headers`.
    """
    kept = subject
    for one in senders:
        if one.remove_subject_trigger:
            kept = strip_triggers(kept, one)
    normal = unicodedata.normalize("NFC", subject)
    return Asked(
        encrypt=_first(_encrypt_reason(normal, headers, one) for one in senders),
        sign=_first(_sign_reason(normal, headers, one) for one in senders),
        subject=None if kept == subject else kept,
    )


def strip_triggers(subject: str, settings: Settings) -> str:
    """The subject without trigger words, its white space tidied; the very same when there is none to take out.

    Done to incoming mail always, and to outgoing mail with `remove_subject_trigger`. No trigger fires on the result.
    """
    text = unicodedata.normalize("NFC", subject)
    patterns = [
        _subject_pattern(trigger, is_pattern=settings.subject_trigger_is_pattern)
        for trigger in (settings.encrypt_subject_trigger, settings.sign_subject_trigger)
        if trigger.strip()
    ]
    if not any(pattern.search(text) for pattern in patterns):
        return subject
    for _ in range(MAX_STRIP_ROUNDS):  # taking one out can bring the ends of another together
        for pattern in patterns:
            text = " ".join(pattern.sub(" ", text).split())
        if not any(pattern.search(text) for pattern in patterns):
            return text
    return ""


def _first(reasons: Iterable[Reason | None]) -> Reason | None:
    return next((reason for reason in reasons if reason is not None), None)


def _encrypt_reason(subject: str, headers: Headers, settings: Settings) -> Reason | None:
    if _in_subject(subject, settings.encrypt_subject_trigger, settings):
        return because(ReasonCode.TRIGGER_ENCRYPT_SUBJECT, trigger=settings.encrypt_subject_trigger)
    if _in_header(headers, settings.encrypt_header_trigger):
        return because(ReasonCode.TRIGGER_ENCRYPT_HEADER, trigger=settings.encrypt_header_trigger)
    return None


def _sign_reason(subject: str, headers: Headers, settings: Settings) -> Reason | None:
    if _in_subject(subject, settings.sign_subject_trigger, settings):
        return because(ReasonCode.TRIGGER_SIGN_SUBJECT, trigger=settings.sign_subject_trigger)
    if _in_header(headers, settings.sign_header_trigger):
        return because(ReasonCode.TRIGGER_SIGN_HEADER, trigger=settings.sign_header_trigger)
    return None


def _in_subject(subject: str, trigger: str, settings: Settings) -> bool:
    if not trigger.strip():
        return False
    pattern = _subject_pattern(trigger, is_pattern=settings.subject_trigger_is_pattern)
    return pattern.search(subject) is not None


def _in_header(headers: Headers, trigger: str) -> bool:
    name, pattern_text = split_header_trigger(trigger)
    values = headers(name) if name else ()
    if not pattern_text or not values:
        return bool(values)
    try:
        pattern = compile_pattern(pattern_text)
    except PatternError:
        return True  # stored by some other way than parse_value: rather encrypt than miss what was meant
    return any(pattern.search(value) is not None for value in values)


@lru_cache(maxsize=1024)
def _subject_pattern(trigger: str, *, is_pattern: bool) -> Any:
    if is_pattern:
        try:
            return compile_pattern(trigger)
        except PatternError:
            pass  # a keyword that was declared a pattern afterwards: read it as the keyword it is
    return _keyword(trigger)


def _keyword(trigger: str) -> re.Pattern[str]:
    """The words of a trigger as whole words in any case. No part can repeat, so this takes linear time as well."""
    words = unicodedata.normalize("NFC", trigger).split()
    text = r"\s+".join(re.escape(word) for word in words)
    before = r"(?<!\w)" if re.match(r"\w", words[0]) else ""
    after = r"(?!\w)" if re.search(r"\w\Z", words[-1]) else ""
    return re.compile(f"{before}{text}{after}", re.IGNORECASE)
