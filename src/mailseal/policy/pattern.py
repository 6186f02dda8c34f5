"""Patterns that an administrator writes: RE2 only, so that no text takes more than linear time."""

from functools import lru_cache
from typing import Any

import re2

from mailseal.errors import PermanentError

MAX_PATTERN_LENGTH = 256
MAX_PROGRAM_BYTES = 1024 * 1024


class PatternError(PermanentError):
    """The text is not a pattern that may be used; says why in RE2's words."""


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False  # RE2 would write to standard error; the caller gets the message instead
    options.max_mem = MAX_PROGRAM_BYTES
    return options


@lru_cache(maxsize=256)
def compile_pattern(text: str) -> Any:
    """The compiled pattern; raises PatternError. One that matches the empty text would fire on every mail."""
    if len(text) > MAX_PATTERN_LENGTH:
        raise PatternError(f"the pattern is longer than {MAX_PATTERN_LENGTH} characters")
    try:
        pattern = re2.compile(text, _options())
    except re2.error as error:
        detail = error.args[0] if error.args else ""
        words = detail.decode(errors="replace") if isinstance(detail, bytes) else str(detail)
        raise PatternError(f"not an RE2 pattern: {words}") from None
    if pattern.search("") is not None:
        raise PatternError("the pattern matches the empty text, so it would match every mail")
    return pattern
