"""Fuzz what a process that was taken over may answer a mail worker: `python fuzz/sandbox_lines.py [--seconds N]`.

Starts from real answers and questions. Anything that comes out but LinesError, or more text than was asked for, stops
the run. Prints the count of inputs.
"""

import sys
from contextlib import suppress
from pathlib import Path

import atheris
from driver import fuzz

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

with atheris.instrument_imports(include=["mailseal.extract.sandbox_lines"]):
    from mailseal.extract.sandbox_lines import (
        BEGUN,
        BUSY,
        Answer,
        LinesError,
        Request,
        Spent,
        Status,
        answer_lines,
        failed_line,
        parse_request,
        parse_status,
    )
    from mailseal.policy.inspection import Gap, GapReason, GapStatus, Inspection, Passage

CHARACTERS = 100
FOUND = Inspection((Passage("a.zip > b", "text"),), (Gap("a.zip", GapStatus.PARTIAL, GapReason.BROKEN, "why"),))
SEEDS = {
    "answer": BEGUN + b"".join(answer_lines(FOUND, Spent(1, 2), "a.zip")),
    "failed": BEGUN + b'{"place"' + failed_line(GapReason.CRASHED),
    "busy": BUSY,
    "request": Request("a.zip", "application/zip", 1, 2, 3, 4, 5.0).line(),
    "status": Status("user", 2, 1, 0, ("a wall",), "").line(),
}


def one_input(data: bytes) -> None:
    """Read it as an answer, a question and a status."""
    answer = Answer(CHARACTERS)
    with suppress(LinesError):
        for line in data.splitlines(keepends=True):
            answer.take(line)
    if sum(len(one.text) for one in answer.inspection("a").passages) > CHARACTERS:
        raise AssertionError("there is more text than was asked for")
    for parse in (parse_request, parse_status):
        with suppress(LinesError):
            parse(data)


if __name__ == "__main__":
    fuzz("sandbox_lines", __doc__, one_input, SEEDS)
