r"""What a pattern is to RE2: its expression, compiled, and what is wrong with expressions that RE2 would take.

RE2 has neither lookaround nor back-references, and takes linear time. `\b`, `\w` and `\d` are ASCII there.
"""

import re
from functools import lru_cache
from typing import Any

import re2

from mailseal.policy.dlp import keywords
from mailseal.policy.dlp.model import Kind, Pattern
from mailseal.policy.dlp.normal import normalise
from mailseal.policy.pattern import PatternError

MAX_TEXT_CHARS = 16_384
MAX_PROGRAM_BYTES = 8 << 20
VALUE = b"value"
"""The name of the group that holds what was found, when it is not all of the match."""
_PROBES = (b"", b" ", b"a", b"0", b"a a", "é".encode())
_ESCAPE_OR_CLASS = re.compile(r"\\Q.*?\\E|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]|\\.", re.DOTALL)


def options(max_bytes: int = MAX_PROGRAM_BYTES) -> Any:
    """Of every program that reads mails: UTF-8, any case; `(?-i)` in an expression makes case count."""
    made = re2.Options()
    made.log_errors = False  # RE2 would write to standard error; the caller gets the message instead
    made.max_mem = max_bytes
    made.case_sensitive = False
    made.dot_nl = True
    return made


def filtering(pattern: Pattern) -> str:
    """An expression that matches wherever the pattern does, to look for first. Raises PatternError."""
    if len(pattern.text) > MAX_TEXT_CHARS:
        raise PatternError(f"the pattern is longer than {MAX_TEXT_CHARS} characters")
    return pattern.text if pattern.kind is Kind.EXPRESSION else keywords.borderless(pattern.text)


def compiled(pattern: Pattern) -> Any:
    """The program that finds its matches; raises PatternError in RE2's words."""
    text = filtering(pattern)
    return _program(text) if pattern.kind is Kind.EXPRESSION else _keyword_program(pattern.text)


@lru_cache(maxsize=256)
def _keyword_program(text: str) -> Any:
    """Compiled when a mail has one of the words, since it is large: half a megabyte."""
    return _program(keywords.expression(text))


def _program(text: str) -> Any:
    try:
        return re2.compile(text.encode(), options())
    except re2.error as error:
        raise PatternError(f"not an RE2 pattern: {words(error)}") from None
    except UnicodeEncodeError:
        raise PatternError("the pattern is no Unicode text") from None


def words(error: Any) -> str:
    """What RE2 says is wrong."""
    detail = error.args[0] if error.args else ""
    return detail.decode(errors="replace") if isinstance(detail, bytes) else str(detail)


def lint(pattern: Pattern) -> None:
    """Raises PatternError for an expression that finds nothing, or everything, though RE2 takes it."""
    program = compiled(pattern)
    if any((match := program.search(probe)) is not None and not match.group() for probe in _PROBES):
        raise PatternError("the pattern matches the empty text, so it would match every mail")
    if pattern.kind is not Kind.EXPRESSION:
        return
    ascii_only = pattern.text.isascii()
    if not ascii_only and re.search(r"\\[bBwW]", pattern.text):
        raise PatternError(
            r"\b and \w know ASCII letters alone, so they fail beside others: "
            r"use keywords, (?:^|[^\pL\pN_]) for a border, or [\pL\pN_] for a letter"
        )
    changed = [one for one in pattern.text if not one.isspace() and not ascii_only and normalise(one) != one]
    if changed:
        shown = ", ".join(f"{one} (U+{ord(one):04X})" if one.isprintable() else f"U+{ord(one):04X}" for one in changed)
        raise PatternError(f"texts are normalised first (NFKC), after which none has {shown}: write what it becomes")
    outside = _ESCAPE_OR_CLASS.sub(lambda match: match.group() if match.group() in _WHITE else "·", pattern.text)
    if any(one in outside for one in (*_WHITE, "\n", "\r", "\t", "\u00a0", "  ")):
        raise PatternError(r"every run of white space is one space before patterns see it: write a space, or \s+")


_WHITE = (r"\n", r"\r", r"\t", r"\f", r"\v")
