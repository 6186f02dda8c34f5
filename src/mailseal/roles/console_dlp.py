"""What the console has the worker try of DLP on an upload, which the sandbox reads: its text, what patterns find."""

from collections.abc import Sequence

from mailseal.errors import PermanentError
from mailseal.policy.dlp.model import Pattern
from mailseal.policy.dlp.normal import normalise
from mailseal.policy.dlp.trial import try_pattern
from mailseal.policy.inspection import Inspection
from mailseal.roles.console_arguments import ArgumentError, Arguments, flag, text, texts
from mailseal.roles.dlp_trial import DOCUMENT, MAIL, extracted, gap_row, kind_of, tried
from mailseal.store import dlp_patterns
from mailseal.store.acting import Acting
from mailseal.store.console_jobs import Json
from mailseal.store.dlp_rows import FIELDS, read_pattern
from mailseal.wiring.gateway import Node

MAX_PATTERNS = 50
MAX_CHARS = 4_000_000
"""Of text in one answer."""
MAX_GAPS = 1000
_DEFAULTS = {"name": "draft", "validator": "", "threshold": 1, "delayed": False, "mask": "all", "description": ""}


def extract(node: Node, arguments: Arguments, blob: bytes, _who: Acting) -> Json:
    """`dlp-extract` {name, media_type, as, normalised}: the text that is looked at, place by place, and the gaps.

    `as`: mail or document, "" for what it looks like. `cut`: there is more text than this.
    """
    kind, found = _read(node, arguments, blob)
    rows, left = [], MAX_CHARS
    for one in found.passages:
        passage = normalise(one.text) if flag(arguments, "normalised") else one.text
        rows.append({"place": one.place, "text": passage[:left]})
        left -= min(left, len(passage))
        if not left:
            break
    return {"read_as": kind, "passages": rows, "gaps": [gap_row(one) for one in found.gaps[:MAX_GAPS]], "cut": not left}


def test(node: Node, arguments: Arguments, blob: bytes, _who: Acting) -> Json:
    """`dlp-test` {patterns, draft, name, media_type, as}: what each of the patterns finds in an upload, and the gaps.

    `patterns`: names of stored ones; `draft`: fields of one that is not stored yet. Raises DlpError, PatternError.
    """
    chosen = _patterns(arguments)
    kind, found = _read(node, arguments, blob)
    return {
        "read_as": kind,
        "characters": sum(len(one.text) for one in found.passages),
        "patterns": [tried(one, found) for one in chosen],
        "gaps": [gap_row(one) for one in found.gaps[:MAX_GAPS]],
    }


def _patterns(arguments: Arguments) -> Sequence[Pattern]:
    names, draft = texts(arguments, "patterns"), arguments.get("draft")
    if len(names) > MAX_PATTERNS:
        raise ArgumentError(f"{MAX_PATTERNS} patterns can be tried at once")
    chosen = [_usable(one) for one in names]
    if draft is not None:
        chosen.append(_draft(draft))
    if not chosen:
        raise ArgumentError("there is no pattern to try")
    return chosen


def _usable(name: str) -> Pattern:
    info = dlp_patterns.find(name)
    if info.pattern is None or info.problem:
        raise PermanentError(f"{info.name} cannot be used: {info.problem}")
    return info.pattern


def _draft(fields: Json) -> Pattern:
    if not isinstance(fields, dict) or not set(FIELDS).issuperset(fields):
        raise ArgumentError("draft has fields of a pattern")
    try:
        pattern = read_pattern({"id": "0" * 32, "revision": 0} | _DEFAULTS | fields)
    except (KeyError, TypeError):
        raise ArgumentError("draft has kind, text and action at least") from None
    try_pattern(pattern)
    return pattern


def _read(node: Node, arguments: Arguments, blob: bytes) -> tuple[str, Inspection]:
    name, media_type = text(arguments, "name", ""), text(arguments, "media_type", "")
    kind = text(arguments, "as", "") or kind_of(blob, name, media_type)
    if kind not in {MAIL, DOCUMENT}:
        raise ArgumentError(f"as is {MAIL} or {DOCUMENT}")
    seconds = float(node.config.limits.deadline_seconds)
    return kind, extracted(blob, node.documents, seconds, kind=kind, name=name, media_type=media_type)
