"""What is logged of an exception says where, never what: its text and variables may hold a mail or a key."""

import logging
import sys
import threading

import pytest

from mailseal.config import from_values
from mailseal.roles.logs import configure

SECRET = "s3cr3t-5d2c"


@pytest.fixture(autouse=True)
def _own_handlers(monkeypatch):
    for module, name in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(module, name, getattr(module, name))
    root, ours = logging.getLogger(), logging.getLogger("mailseal")
    before, level, our_level = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    ours.setLevel(our_level)


def _fail(body: str) -> None:
    raise ValueError(f"cannot parse {body}")


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_exception_is_its_kind_and_places(form, capsys):
    configure(from_values({"log": {"format": form}}, {}).log, "mail 1")
    try:
        _fail(SECRET)
    except ValueError:
        logging.getLogger("mailseal.test").exception("a mail could not be handled")
    said = capsys.readouterr().err
    assert SECRET not in said
    assert "a mail could not be handled" in said
    assert "ValueError at test_logs.py:" in said
    assert "_fail" in said
    assert "mail 1" in said


def test_less_important_events_are_left_out(capsys):
    configure(from_values({"log": {"level": "warning"}}, {}).log, "worker")
    logging.getLogger("mailseal.test").info("nothing")
    assert capsys.readouterr().err == ""
