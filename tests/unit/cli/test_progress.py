"""What a long command says of its progress: a bar on a terminal, lines elsewhere, nothing of what is short."""

import contextlib
import os
import subprocess
import sys

import pytest

from mailseal.cli import progress
from mailseal.cli.progress import Meter


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

    monkeypatch.setattr(progress.time, "monotonic", lambda: Clock.now)
    return Clock


def test_lines_every_few_seconds(clock, capsys):
    with Meter(1000, "certificates") as meter:
        for second in range(1, 17):
            clock.now = 1000.0 + second
            meter.at(second * 50, second * 2000)
        meter.line("a line of output")
    out, err = capsys.readouterr()
    assert out == "a line of output\n"
    assert err.splitlines() == [
        "10,000 certificates, 2,000 a second, 25%",
        "20,000 certificates, 2,000 a second, 50%",
        "30,000 certificates, 2,000 a second, 75%",
    ]


def test_nothing_of_what_is_over_in_a_moment(capsys):
    with Meter(0, "certificates") as meter:
        meter.at(10, 10)
    assert capsys.readouterr() == ("", "")


PROGRAM = """
import sys
from mailseal.cli import progress
class Clock:
    now = 1000.0
progress.time.monotonic = lambda: Clock.now
with progress.Meter(1000, "certificates") as meter:
    Clock.now += 1
    meter.at(250, 1234)
    Clock.now += 0.1
    meter.at(999, 9999)  # too soon to be drawn again
    with meter.aside():
        sys.stderr.write("a question?\\n")
    meter.line("[bold]file[/bold].pem")
"""


def run_on_a_terminal(**streams):
    """What the program writes to the terminal that is its standard error, and to what else is given."""
    master, slave = os.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, stderr=slave, stdout=streams.get("stdout", slave), check=True
    )
    os.close(slave)
    text = b""
    # A terminal whose other side is closed gives what is left, then an error.
    with contextlib.suppress(OSError):
        while more := os.read(master, 65_536):
            text += more
    os.close(master)
    return text.decode(), (done.stdout or b"").decode()


def test_a_bar_on_a_terminal():
    text, _ = run_on_a_terminal()
    assert "1,234 certificates, 1,234 a second" in text
    assert "25%" in text
    assert "9,999" not in text
    assert "a question?" in text
    assert "[bold]file[/bold].pem" in text


def test_a_bar_beside_output_that_goes_elsewhere():
    text, output = run_on_a_terminal(stdout=subprocess.PIPE)
    assert "1,234 certificates, 1,234 a second" in text
    assert "file" not in text
    assert output == "[bold]file[/bold].pem\n"
