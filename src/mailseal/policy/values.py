"""A setting's value from and to text, checked; errors say what is wrong and show a valid example."""

import difflib
import re
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache

from mailseal.errors import PermanentError
from mailseal.mail.address import Address, AddressError
from mailseal.policy.lists import LISTS
from mailseal.policy.pattern import MAX_PATTERN_LENGTH, PatternError, compile_pattern
from mailseal.policy.setting_info import SettingInfo
from mailseal.policy.table import SETTINGS, Settings

SUBJECT_TRIGGERS = ("encrypt_subject_trigger", "sign_subject_trigger")
AS_PATTERN = "subject_trigger_is_pattern"
MAX_TEXT_LENGTH = MAX_PATTERN_LENGTH
MAX_ELEMENTS = 100

_YES = frozenset({"yes", "true", "on", "1"})
_NO = frozenset({"no", "false", "off", "0"})
_SIZE = re.compile(r"([0-9]{1,18})\s*(?:([kmg])(?:i?b)?)?", re.IGNORECASE)
_SIZE_FACTOR = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_ADDRESSES = ("notice_from", "notice_envelope_from")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8}){0,3}")
_ELEMENT = re.compile(r'(?:"(?:[^"\\]|\\.)*+"|[^\s,])+')
"""What stands in quotes is not cut: an address may have a blank there."""
_FIELD_NAME = re.compile(r"[!-9;-~]{1,76}")

_BY_NAME = {info.name: info for info in SETTINGS}


class SettingError(PermanentError):
    """No such setting, or a value that it cannot have. The text is written for the person who set it."""


def setting(name: str) -> SettingInfo:
    """The row of a setting; raises SettingError with the name that was probably meant."""
    info = _BY_NAME.get(name)
    if info is None:
        near = difflib.get_close_matches(name, _BY_NAME)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise SettingError(f"there is no setting {name!r}{hint}")
    return info


def parse_value(name: str, text: str, *, is_pattern: bool = False) -> object:
    """The typed value of a setting; raises SettingError.

    Whether a subject trigger is a pattern is another setting: give it as `is_pattern`, or `check` the whole.
    """
    info = setting(name)
    stripped = text.strip()
    if issubclass(info.type, StrEnum):
        return _choice(info, info.type, stripped)
    if info.type is str and name in SUBJECT_TRIGGERS and is_pattern:
        return _pattern(info, _plain(info, stripped))
    return _READERS[info.type](info, stripped)


def show_value(name: str, value: object) -> str:
    """The text that `parse_value` reads back as the same value."""
    setting(name)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(value)
    return str(value)


def check(settings: Settings) -> None:
    """Raise SettingError where values contradict each other: a subject trigger that is to be a pattern and is none."""
    if not settings.subject_trigger_is_pattern:
        return
    for name in SUBJECT_TRIGGERS:
        info, trigger = setting(name), getattr(settings, name)
        if trigger and trigger == info.default:
            problem = f"as a pattern, {trigger} would match nearly every subject; set a pattern before {AS_PATTERN}"
            raise _bad(info, problem, _EXAMPLE_PATTERN)
        _pattern(info, trigger)


@lru_cache(maxsize=256)
def split_header_trigger(text: str) -> tuple[str, str]:
    """(field name, pattern or "") of a header trigger."""
    name, _, pattern = text.partition(":")
    return name.strip(), pattern.strip()


_EXAMPLE_PATTERN = r"(?i)\bsecure\b"
_HEADER_TRIGGERS = ("encrypt_header_trigger", "sign_header_trigger")
_TAGS_WITH_SIGNER = ("tag_signed_by", "tag_signed_mismatch")
_TAGS = (*_TAGS_WITH_SIGNER, "tag_decrypted", "tag_invalid")


def _bad(info: SettingInfo, problem: str, example: object = None) -> SettingError:
    shown = show_value(info.name, info.default if example is None else example)
    return SettingError(f"{info.name}: {problem}; for example: {shown}")


def _choice(info: SettingInfo, choices: type[StrEnum], text: str) -> StrEnum:
    try:
        return choices(text.lower())
    except ValueError:
        names = ", ".join(choices)
        raise _bad(info, f"{text[:80]!r} is none of {names}") from None


def _flag(info: SettingInfo, text: str) -> bool:
    word = text.lower()
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise _bad(info, f"{text[:80]!r} is neither yes nor no")


def _number(info: SettingInfo, text: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise _bad(info, f"{text[:80]!r} is not a number, with K, M or G behind it if you like")
    number = int(match[1]) * _SIZE_FACTOR[(match[2] or "").lower()]
    if not info.lowest <= number <= info.highest:
        raise _bad(info, f"{number} is not between {info.lowest} and {info.highest}")
    return number


def _elements(info: SettingInfo, text: str) -> tuple[str, ...]:
    kind = LISTS[info.name]
    example = (kind.example,)
    texts = _ELEMENT.findall(text)
    found: dict[str, None] = {}
    for one in texts[: 10 * MAX_ELEMENTS]:
        element = kind.read(one)
        if element is None:
            raise _bad(info, f"{one[:80]!r} is not {kind.one}", example)
        found[element] = None
    if len(found) > MAX_ELEMENTS or len(texts) > 10 * MAX_ELEMENTS:
        raise _bad(info, f"more than {MAX_ELEMENTS} {kind.many}", example)
    return tuple(found)


def _text(info: SettingInfo, text: str) -> str:
    _plain(info, text)
    if info.name in _HEADER_TRIGGERS:
        return _header_trigger(info, text)
    if info.name in _TAGS:
        rest = text.replace("{signer}", "") if info.name in _TAGS_WITH_SIGNER else text
        if "{" in rest or "}" in rest:
            raise _bad(info, "a tag has braces only in {signer}, where a signer is known")
    if info.name in _ADDRESSES and text:
        return _address(info, text)
    if info.name == "notice_language" and not _LANGUAGE.fullmatch(text.lower()):
        raise _bad(info, f"{text[:80]!r} is not the name of a language")
    return text.lower() if info.name == "notice_language" else text


def _address(info: SettingInfo, text: str) -> str:
    try:
        return str(Address.parse(text))
    except AddressError as error:
        raise _bad(info, str(error), "postmaster@example.com") from None


def _plain(info: SettingInfo, text: str) -> str:
    if len(text) > MAX_TEXT_LENGTH:
        raise _bad(info, f"the text is longer than {MAX_TEXT_LENGTH} characters")
    if not text.isprintable():
        raise _bad(info, "the text has a character that cannot be printed, such as a line end")
    return text


def _pattern(info: SettingInfo, text: str) -> str:
    if text:
        try:
            compile_pattern(text)
        except PatternError as error:
            raise _bad(info, str(error), _EXAMPLE_PATTERN) from None
    return text


def _header_trigger(info: SettingInfo, text: str) -> str:
    if not text:
        return text
    name, pattern = split_header_trigger(text)
    if not _FIELD_NAME.fullmatch(name):
        raise _bad(info, f"{name[:80]!r} is not the name of a header field", "X-Secure: (?i)^yes$")
    _pattern(info, pattern)
    return f"{name}: {pattern}" if pattern else name


_READERS: dict[type, Callable[[SettingInfo, str], object]] = {
    bool: _flag,
    int: _number,
    tuple: _elements,
    str: _text,
}
