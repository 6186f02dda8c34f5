"""Authentication-Results: written, read as far as needed, and told from forged ones (RFC 8601)."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from mailseal.dkim.arc import Chain, ChainState
from mailseal.dkim.verify import Result, Verdict
from mailseal.errors import PermanentError
from mailseal.mail.address import AddressError, domain_to_ascii
from mailseal.mail.content_type import end_of_comment
from mailseal.mail.encoded_word import decode_words
from mailseal.mail.entity import Entity, HeaderField
from mailseal.mail.header import seen_values, unfolded

MAX_CHARS = 8192
MAX_CLAIM_OCTETS = 2 * MAX_CHARS
MAX_RESULTS = 100
MAX_BELIEVED = 10
MAX_WORD_CHARS = 500
"""What cannot be folded: a line of a mail has 998 octets at most."""
FOLD_AT = 200
MAX_WORDS = 1000
MAX_NAME_CHARS = 255
NAME = "authentication-results"

_TOKEN = re.compile(r"[!#-'*+\-.0-:A-Z^-~]+")
_WORD = re.compile(r'"((?:[^"\\]|\\.)*+)"|([^\s";()]++)', re.DOTALL)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_PLAIN = re.compile(r"[ -~]*")
_METHOD = re.compile(r"([A-Za-z][A-Za-z0-9\-]*)(?:[ \t]*/[ \t]*[0-9]+)?[ \t]*=[ \t]*[A-Za-z]")
_FLAT_COMMENT = re.compile(r"\([^)]*+\)")
_WORDS = re.compile(r"[^\s\"';:,()<>\[\]{}=/]+")
# What a reader does not see, or does not mind, between the letters of a name.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u00ad\u034f\u061c\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\\\\]"
)
_LINE_ENDS = dict.fromkeys(map(ord, "\r\n"))


class ResultsError(PermanentError):
    """The field cannot be read in only one way."""


@dataclass(frozen=True, slots=True)
class Results:
    """A field as it was read: who says it, and the results as texts of one line each, in order."""

    authserv_id: str
    texts: tuple[str, ...]

    @property
    def methods(self) -> frozenset[str]:
        """The methods that have a result."""
        return frozenset(method_of(text) for text in self.texts)


def method_of(text: str) -> str:
    """The method of a result, in lower case; raises ResultsError."""
    found = _METHOD.match(text)
    if found is None:
        raise ResultsError("a result has no method")
    return found[1].lower()


def dkim_texts(verdicts: Sequence[Verdict]) -> list[str]:
    """A result for each signature, dkim=none without any (§2.7.1)."""
    return [_dkim(one) for one in verdicts] or ["dkim=none"]


def _dkim(verdict: Verdict) -> str:
    words = [f"dkim={verdict.result}"]
    if verdict.testing:
        words.append("(only being tested)")
    if verdict.result is not Result.PASS:
        words.append(f"reason={_value(verdict.detail or verdict.cause)}")
    properties = (
        ("header.d", verdict.domain),
        ("header.s", verdict.selector),
        ("header.a", verdict.algorithm if _TOKEN.fullmatch(verdict.algorithm) else ""),
        ("header.b", verdict.value),
    )
    return " ".join([*words, *(f"{name}={_value(value)}" for name, value in properties if value)])


def arc_text(chain: Chain) -> str:
    """The result of a chain (RFC 8617 §10.1); `temperror` is no word of its table, and says what is so."""
    words = [f"arc={chain.state}"]
    if chain.state in (ChainState.FAIL, ChainState.TEMPERROR):
        words.append(f"reason={_value(chain.cause)}")
    elif chain.highest:
        words.append(f"(i={chain.highest})")
    if chain.domain:
        words.append(f"header.d={_value(chain.domain)}")
    return " ".join(words)


def joined(authserv_id: str, texts: Sequence[str]) -> str:
    """The value of a field: who says it, then each result from a new line on, folded at spaces."""
    return ";\r\n\t".join([authserv_id, *map(_folded, texts)])


def _folded(text: str) -> str:
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + len(word) > FOLD_AT:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return "\r\n\t ".join(lines)


def _value(text: str) -> str:
    """A token, or a quoted string of printable ASCII, neither longer than any name."""
    if len(text) <= MAX_NAME_CHARS and _TOKEN.fullmatch(text):
        return text
    plain = re.sub(r"[^ -~]", "?", text[:200])
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def read_results(value: str) -> Results:
    """Read an unfolded value; raises ResultsError for what a reader could take otherwise."""
    longest = max(map(len, value.split()), default=0)
    if len(value) > MAX_CHARS or longest > MAX_WORD_CHARS or not _PLAIN.fullmatch(value.replace("\t", " ")):
        raise ResultsError("the field is too long, or not printable ASCII")
    parts = list(_parts(value.replace("\t", " ")))
    if len(parts) > MAX_RESULTS:
        raise ResultsError("the field has too many results")
    words = _WORD.findall(_without_comments(parts[0]))
    if not 1 <= len(words) <= 2 or (len(words) == 2 and not words[1][1].isdecimal()):
        raise ResultsError("the field does not say who speaks")
    texts = tuple(text for part in parts[1:] if (text := part.strip()) and text.lower() != "none")
    for text in texts:
        method_of(text)
    return Results(normal_id(words[0][0] or words[0][1]), texts)


def _parts(value: str) -> Iterator[str]:
    """What stands between the semicolons that are not in a comment or a quoted string; raises ResultsError."""
    start = position = 0
    while position < len(value):
        character = value[position]
        if character == "(":
            position = _end_of_comment(value, position)
        elif character == '"':
            quoted = _QUOTED.match(value, position)
            if quoted is None:
                raise ResultsError("a quoted string does not end")
            position = quoted.end()
        else:
            if character == ";":
                yield value[start:position]
                start = position + 1
            position += 1
    yield value[start:]


def _end_of_comment(value: str, position: int) -> int:
    end = end_of_comment(value, position)
    if end < 0:
        raise ResultsError("a comment does not end")
    return end


def _without_comments(text: str) -> str:
    pieces: list[str] = []
    position = 0
    while (start := text.find("(", position)) >= 0:
        pieces.append(text[position:start])
        position = _end_of_comment(text, start)
    return " ".join([*pieces, text[position:]])


def normal_id(name: str) -> str:
    """An authserv-id as it is compared: as a domain name where it is one."""
    try:
        return domain_to_ascii(name.rstrip("."))
    except AddressError:
        return name.lower()


def believed(root: Entity, trusted: Collection[str]) -> list[tuple[HeaderField, Results]]:
    """The topmost fields, one under the other, of those whose results are believed; what is further down is not.

    Whoever is trusted removes fields in its name from mail that comes in (§5); what stands right under one of its
    fields is then its own.
    """
    found: list[tuple[HeaderField, Results]] = []
    for field in root.fields:
        if field.name != NAME:
            if found:
                break
            continue
        try:
            results = read_results(field.value(root.buffer))
        except ResultsError:
            break
        if results.authserv_id not in trusted or len(found) >= MAX_BELIEVED:
            break
        found.append((field, results))
    return found


def claims(raw: bytes, ids: Collection[str]) -> bool:
    """Whether some reader may take a field for one of ours: Authentication-Results that name one of the ids.

    Looked for in all that could be the place of the authserv-id, however it is quoted, commented, folded or spaced. A
    field in which there are two, or one that is absurdly long, is told from ours by nobody.
    """
    field = unfolded(raw)
    starts = seen_values(field, NAME.encode("ascii"))
    if not starts:
        return False
    return len(starts) > 1 or len(field) - starts[0] > MAX_CLAIM_OCTETS or _names_one(field[starts[0] :], ids)


def _names_one(value: bytes, ids: Collection[str]) -> bool:
    text = value.decode("utf-8", "replace")
    readings = (text, decode_words(text), text.translate(_LINE_ENDS))
    words = {word for reading in readings for head in _heads(reading) for word in _words(head)}
    if len(words) > MAX_WORDS:
        return True  # nobody needs that many, and somebody may find ours among them
    return any(normal_id(word) in ids for word in words if len(word) <= MAX_NAME_CHARS)


def _heads(text: str) -> Iterator[str]:
    """What stands before the first result, as readers with and without comments see it."""
    yield text.partition(";")[0]
    closed = text.rfind(")") + 1  # beyond, each "(" would be looked for its end in vain
    yield (_FLAT_COMMENT.sub(" ", text[:closed]) + text[closed:]).partition(";")[0]
    try:
        yield next(_parts(text))
    except ResultsError:
        yield text


def _words(head: str) -> list[str]:
    return _WORDS.findall(_INVISIBLE.sub("", head))
