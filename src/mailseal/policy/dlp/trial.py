"""What a pattern costs, tried when it is saved: RE2 takes linear time, but some patterns a thousand times others'."""

import random
import re
import string
import time
from collections.abc import Iterator
from functools import cache

from mailseal.policy.dlp.keywords import expression
from mailseal.policy.dlp.model import Kind, Pattern
from mailseal.policy.dlp.scanner import Scanner, check_pattern
from mailseal.policy.dlp.sets import PatternSets
from mailseal.policy.inspection import Inspection, Passage
from mailseal.policy.model import Action
from mailseal.policy.pattern import PatternError

MAX_TIMES = 4
"""So many times the processor time that card numbers take in digits: a slow or busy machine is so for both."""
MAX_PROSE_TIMES = 10
"""So many times the time that a common expression takes to be looked for in ordinary text, which every mail has."""
TRIAL_CHARS = 32_768
_CARDS = Pattern("", 0, "", Kind.EXPRESSION, r"\b\d(?:[ .-]{0,2}\d){11,18}\b", Action.WARN, "card")
_ADVICE = "shorten counted repetitions such as {0,90} and what may match almost anything, and begin with what is rare"
_LETTERS = "eeeeeeeeeeeetttttttttaaaaaaaaooooooooiiiiiiinnnnnnnsssssshhhhhhrrrrrrddddlllluuuccmmmwwffggyypbvkxjqz"
_SENTENCE = " Dear Ms Meier, no. 2024-0815 comes to 1,250.00 EUR; +49 30 1234567, anna@alpha.example: Grüße, Köln. "
_OWN = re.compile(r"\\.|[A-Za-z0-9@._ -]|[^\x00-\x7f]")
_MOST = 12


def try_pattern(pattern: Pattern) -> None:
    """As `check_pattern`, for one that is to be saved: raises PatternError for one that is too slow, too."""
    check_pattern(pattern)
    times = _looking(pattern) / _looking(_CARDS)
    if times > MAX_PROSE_TIMES:
        raise PatternError(
            f"the pattern is too slow: looking for it in ordinary text takes {times:.0f} times as long as for a common "
            f"one, {MAX_PROSE_TIMES} times are allowed; {_ADVICE}"
        )
    allowed = MAX_TIMES * _reference()
    seconds = next((one for one in _each(pattern, allowed) if one > allowed), 0.0)
    if seconds:
        raise PatternError(
            f"the pattern is too slow: some texts take {seconds:.1f} s for 1 MB, {allowed:.1f} are allowed; {_ADVICE}"
        )


def _looking(pattern: Pattern) -> float:
    """Seconds of processor time to look for a pattern in prose that its automaton has not seen; the best of a few."""
    octets = _prose().encode()
    best = float("inf")
    for _ in range(4):
        fresh = PatternSets([pattern])
        before = time.thread_time()
        fresh.matching(octets)
        best = min(best, time.thread_time() - before)
    return best


@cache
def _prose() -> str:
    """Words in which letters are as frequent as in English, with numbers and addresses: no two pieces are the same."""
    choice = random.Random(1)  # noqa: S311 - no secret
    words = ("".join(choice.choices(_LETTERS, k=choice.randint(1, 11))) for _ in range(TRIAL_CHARS // 6))
    sprinkled = (f"{one}{_SENTENCE if choice.random() < 0.01 else ' '}" for one in words)
    return "".join(sprinkled)[:TRIAL_CHARS]


def seconds_per_mb(pattern: Pattern) -> float:
    """Processor time for 1 MB of the text that is worst for it, of those tried; the better of two runs counts."""
    return max(_each(pattern, 0.0))


def _each(pattern: Pattern, enough: float) -> Iterator[float]:
    scanner = Scanner([pattern])
    return (_measured(scanner, text, enough) for text in _texts(pattern))


def _measured(scanner: Scanner, text: str, enough: float) -> float:
    """Tried again when it took more than is good enough, since the machine may have been busy."""
    inspection = Inspection((Passage("trial", text),))
    seconds = 0.0
    for again in (False, True):
        before = time.thread_time()
        scanner.findings(inspection)
        run = (time.thread_time() - before) * 1e6 / len(text.encode())
        seconds = min(run, seconds) if again else run
        if seconds <= enough:
            break
    return seconds


@cache
def _reference() -> float:
    return _measured(Scanner([_CARDS]), _digits(random.Random(0)), 0.0)  # noqa: S311 - no secret


def _texts(pattern: Pattern) -> Iterator[str]:
    """Prose, digits, and what the pattern itself is made of, mixed and each on its own."""
    yield _prose()
    choice = random.Random(pattern.text)  # noqa: S311 - the same texts each time, no secret
    yield _digits(choice)
    source = expression(pattern.text) if pattern.kind is Kind.KEYWORDS else pattern.text
    own = sorted({one for one in _OWN.findall(source) if not one.startswith("\\")})
    if own:
        yield "".join(choice.choices(own, k=TRIAL_CHARS))
    for one in choice.sample(own, min(_MOST, len(own))):
        yield _filled(one)


def _digits(choice: random.Random) -> str:
    return "".join(choice.choices(string.digits + " -", k=TRIAL_CHARS))


def _filled(piece: str) -> str:
    return (piece * (TRIAL_CHARS // len(piece) + 1))[:TRIAL_CHARS]
