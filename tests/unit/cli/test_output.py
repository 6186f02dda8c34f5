"""What commands print: tables, JSON, errors; nothing from outside can steer a terminal."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import click
import pytest
from click.testing import CliRunner

from mailseal.cli import COMMANDS, cli, errors, output, run
from mailseal.cli.errors import CommandError
from mailseal.cli.log import Moment, print_row
from mailseal.errors import PermanentError, TransientError


def test_a_table_shows_text_as_it_is_and_escapes_what_a_terminal_obeys(capsys):
    rows = [{"subject": "[bold]x[/bold] \x1b]0;owned\x07", "fingerprint": "ab" * 32, "n": None, "yes": True}]
    output.show(rows, ("fingerprint", "subject", "n", "yes"), as_json=False)
    shown = capsys.readouterr().out
    assert "[bold]x[/bold] \\x1b]0;owned\\x07" in shown
    assert "\x1b" not in shown
    assert "ab" * 8 in shown
    assert "ab" * 9 not in shown


def test_a_column_without_any_value_takes_no_room_on_a_terminal(capsys, monkeypatch):
    rows = [{"a": 1, "none": None, "empty": [], "some": ""}, {"a": 0, "none": None, "empty": (), "some": "x"}]
    columns = ("a", "none", "empty", "some")
    output.show(rows, columns, as_json=False)
    assert capsys.readouterr().out.split()[:4] == list(columns)

    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    output.show(rows, columns, as_json=False)
    assert click.unstyle(capsys.readouterr().out).split()[:2] == ["a", "some"]


def test_json_has_all_of_a_row_with_iso_times(capsys):
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    output.show([{"at": at, "who": ("a", "b"), "raw": b"\x01", "some": {"y", "x"}}], ("at",), as_json=True)
    assert json.loads(capsys.readouterr().out) == [
        {"at": "2026-03-01T12:00:00+00:00", "who": ["a", "b"], "raw": "01", "some": ["x", "y"]}
    ]


def test_nothing_found_is_said_on_standard_error(capsys):
    output.show([], ("a",), as_json=False, nothing="none yet")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "none yet\n"


def test_one_thing_as_lines_and_as_json(capsys):
    output.show_one({"key_kind": "rsa", "for": ["a", "b"]}, as_json=False)
    assert capsys.readouterr().out.split() == ["key", "kind", "rsa", "for", "a,", "b"]
    output.show_one({"a": 1}, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"a": 1}


def test_errors_are_short_and_have_a_status(capsys):
    assert errors.report(CommandError("no such thing", "look elsewhere")) == 1
    assert capsys.readouterr().err == "error: no such thing\nwhat to do: look elsewhere\n"
    assert errors.report(TransientError("the database is away")) == 75
    assert "mailseal check" in capsys.readouterr().err
    assert errors.report(PermanentError("bad")) == 1
    assert capsys.readouterr().err == "error: bad\n"


def test_files_and_passwords(tmp_path):
    file = tmp_path / "password"
    file.write_bytes(b"s e c r e t \r\n")
    assert output.read_password(file, "Password") == b"s e c r e t "
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        output.read_file(tmp_path / "none")
    with pytest.raises(CommandError, match="password is needed"):
        output.read_password(None, "Password")


def test_help_names_every_command_without_loading_them():
    result = CliRunner().invoke(cli, ["--help"])
    assert result.exit_code == 0
    assert all(name in result.output for name in COMMANDS)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "message"])
def test_every_command_has_help(name):
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_wrong_usage_has_status_2(capsys):
    assert run(["no-such-command"]) == 2
    assert "No such command" in capsys.readouterr().err


def test_an_unusable_configuration_is_one_message(tmp_path, capsys):
    file = tmp_path / "mailseal.toml"
    file.write_text("workers = 0\ncolour = 1\n")
    assert run(["--config", str(file), "domain", "list"]) == 1
    text = capsys.readouterr().err
    assert "workers: must be between 1 and 256, not 0; for example: workers = 4" in text
    assert "colour: is not a known key" in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T10:00+02:00", datetime(2026, 3, 1, 8, tzinfo=UTC)),
    ],
)
def test_moments(text, expected):
    assert Moment().convert(text, None, None) == expected


def test_moments_ago():
    found = Moment().convert("2h", None, None)
    assert abs(datetime.now(UTC) - timedelta(hours=2) - found) < timedelta(minutes=1)
    for bad in ("tomorrow", "", "5y", "999999d"):
        with pytest.raises(click.BadParameter, match="not a time"):
            Moment().convert(bad, None, None)


ROW = {
    "time": datetime(2026, 3, 1, 12, tzinfo=UTC), "direction": "out", "sender": "a@x.example",
    "recipient": "b@y.example", "fate": "relayed", "treatment": "signed", "reply": "250 2.0.0 \x1bkept",
    "reasons": ["one reason"] * 9,
}  # fmt: skip


def test_a_row_of_the_log_is_one_line_for_programs_and_fits_a_terminal(capsys, monkeypatch):
    print_row(ROW, as_json=False)
    line = capsys.readouterr().out
    assert line.startswith("2026-03-01 12:00 out a@x.example -> b@y.example: relayed, signed; 250 2.0.0 \\x1bkept; one")
    assert line.count("\n") == 1

    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    print_row(ROW, as_json=False)
    first, *below = click.unstyle(capsys.readouterr().out).splitlines()
    assert line.startswith(first)
    assert all(one.startswith("    one reason") and len(one) <= 40 for one in below)
    assert " ".join(one.strip() for one in below) == ", ".join(ROW["reasons"])


NO_CORE = """
import resource, mailseal.cli
_, most = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (most, most))
mailseal.cli.run(["check", "--help"])
print(resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_a_command_leaves_no_core_dump():
    """Its memory holds keys and passphrases."""
    done = subprocess.run([sys.executable, "-c", NO_CORE], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "(0, 0)"
