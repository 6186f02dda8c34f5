r"""What a pattern is to RE2: expressions as they are, keywords with the word boundaries of Unicode.

`\b` of RE2 knows ASCII alone: `\bécole\b` never matches (google/re2, syntax).
"""

import re
import unicodedata
from typing import Any

import re2

from mailseal.policy.dlp.model import Kind, Pattern
from mailseal.policy.pattern import PatternError

MAX_TEXT_CHARS = 16_384
MAX_KEYWORDS = 500
MAX_PROGRAM_BYTES = 8 << 20
_BEFORE = r"(?:^|[^\pL\pM\pN_])"
_AFTER = r"(?:$|[^\pL\pM\pN_])"
_WORD = re.compile(r"\w")


def options(max_bytes: int = MAX_PROGRAM_BYTES) -> Any:
    """Of every program that reads mails: UTF-8, any case."""
    made = re2.Options()
    made.log_errors = False  # RE2 would write to standard error; the caller gets the message instead
    made.max_mem = max_bytes
    made.case_sensitive = False
    made.dot_nl = True
    return made


def source(pattern: Pattern) -> str:
    """The expression of a pattern; the first of its groups that matches is what was found. Raises PatternError."""
    if len(pattern.text) > MAX_TEXT_CHARS:
        raise PatternError(f"the pattern is longer than {MAX_TEXT_CHARS} characters")
    if pattern.kind is Kind.EXPRESSION:
        return pattern.text
    lines = [" ".join(unicodedata.normalize("NFKC", line).split()) for line in pattern.text.splitlines()]
    words = [line for line in lines if line.strip("* ")]
    if not words:
        raise PatternError("there is no keyword")
    if len(words) > MAX_KEYWORDS:
        raise PatternError(f"there are more than {MAX_KEYWORDS} keywords")
    forms: dict[tuple[str, str], list[str]] = {}
    for word in words:
        stem = word.rstrip("*").rstrip()
        before = _BEFORE if _WORD.match(stem[:1]) else ""
        after = _AFTER if stem == word and _WORD.match(stem[-1:]) else ""
        forms.setdefault((before, after), []).append(_escaped(stem))
    return "|".join(f"{before}({'|'.join(told)}){after}" for (before, after), told in forms.items())


def compiled(pattern: Pattern) -> Any:
    """The program that finds its matches; raises PatternError in RE2's words."""
    text = source(pattern)
    try:
        program = re2.compile(text.encode(), options())
    except re2.error as error:
        detail = error.args[0] if error.args else ""
        words = detail.decode(errors="replace") if isinstance(detail, bytes) else str(detail)
        raise PatternError(f"not an RE2 pattern: {words}") from None
    if program.search(b"") is not None:
        raise PatternError("the pattern matches the empty text, so it would match every mail")
    return program


def _escaped(word: str) -> str:
    escaped = re2.escape(word)
    for sharp in ("ß", "ẞ"):  # any case of it but SS is known to RE2
        escaped = escaped.replace(sharp, "(?:ß|ẞ|ss)")
    return str(escaped)
