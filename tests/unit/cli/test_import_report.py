"""What an import says of its files, in words and for scripts."""

import json
from pathlib import Path

from mailseal.cli.import_report import MAX_PROBLEMS, FileReport, Json, Lines, Totals


def reports():
    good = FileReport(Path("good.pem"), form="pem", new=3, known=1)
    bad = FileReport(Path("bad\n\x1b[2J.p12"), form="pkcs12", new=1, lost_key=True)
    for number in range(MAX_PROBLEMS + 5):
        bad.problem(f"problem {number}\x1b")
    return [good, bad, FileReport(Path("nothing.txt"))]


def totals(found):
    sums = Totals(waiting=8000)
    for report in found:
        sums.count(report)
    return sums


def test_what_is_good():
    assert [one.is_good for one in reports()] == [True, False, False]
    assert FileReport(Path("x"), known=1).is_good


def test_in_words(capsys):
    lines = []
    output = Lines(lines.append)
    found = reports()
    for report in found:
        output.file(report)
    output.end(totals(found), ())
    assert lines[0] == "pem          3 new       1 known       0 keys  good.pem"
    assert lines[1].endswith(r"bad\n\x1b[2J.p12")
    assert lines[2].startswith("-  ")
    assert lines[3] == ("3 files: 4 certificates imported, 1 known already; 2 files gave nothing, or not their key")
    assert "8,000 certificates wait for the worker" in lines[4]
    assert "about 2 min" in lines[4]
    notes = capsys.readouterr().err.splitlines()
    assert len(notes) == MAX_PROBLEMS + 1
    assert notes[0] == r"note: bad\n\x1b[2J.p12: problem 0\x1b"
    assert notes[-1].endswith("and 5 more")


def test_for_scripts(capsys):
    output = Json()
    found = reports()
    for report in found:
        output.file(report)
    output.end(totals(found), ())
    said = json.loads(capsys.readouterr().out)
    assert [one["good"] for one in said["files"]] == [True, False, False]
    assert said["files"][0] == {
        "file": "good.pem", "form": "pem", "imported": 3, "known": 1, "keys": 0, "good": True, "problems": [],
    }  # fmt: skip
    assert said["certificates"] == []
    assert said["summary"] == {
        "files": 3, "not_good": 2, "imported": 4, "known": 1, "keys": 0, "waiting": 8000,
    }  # fmt: skip
