"""What an event keeps of the facts before and after: JSON text without secrets, of a bounded size."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date
from typing import Final

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]

Facts = Json | Mapping[str, object]
"""What is recorded: JSON, in which times, UUIDs and sets may be as well; they become text and lists."""

MASK: Final = "(secret)"
MAX_TEXT_CHARS: Final = 2000
MAX_ITEMS: Final = 200
MAX_DEPTH: Final = 8
MAX_CHARS: Final = 32 * 1024

_SECRET_NAME = re.compile(
    r"passw|passphrase|secret|token|private_key|credential|cookie|session|otp|seed|recovery|(^|_)pin$", re.IGNORECASE
)
_SECRET_TEXT = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY|AGE-SECRET-KEY-|\$argon2|\$pbkdf2|\$2[aby]\$")


def masked(facts: Facts | None) -> str:
    """The text that is kept; "" for None."""
    if facts is None:
        return ""
    text = _text(_kept(facts, "", 0))
    if len(text) <= MAX_CHARS:
        return text
    return _text({"too_long": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()})


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def _kept(value: object, name: str, depth: int) -> object:
    if depth > MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {str(key): _kept(one, str(key), depth + 1) for key, one in list(value.items())[:MAX_ITEMS]}
    if value is None or isinstance(value, bool):
        return value
    if _SECRET_NAME.search(name) and value not in ("", 0):
        return MASK
    if isinstance(value, int | float):
        return value
    if isinstance(value, Sequence | AbstractSet) and not isinstance(value, str | bytes):
        return _kept_items(list(value), name, depth)
    return _kept_text(value.isoformat() if isinstance(value, date) else str(value))


def _kept_items(values: Sequence[object], name: str, depth: int) -> list[object]:
    kept = [_kept(one, name, depth + 1) for one in values[:MAX_ITEMS]]
    return [*kept, f"… {len(values) - MAX_ITEMS} more"] if len(values) > MAX_ITEMS else kept


def _kept_text(text: str) -> str:
    if _SECRET_TEXT.search(text):
        return MASK
    if len(text) <= MAX_TEXT_CHARS:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
    return f"{text[:MAX_TEXT_CHARS]}… ({len(text)} characters, SHA-256 {digest})"
