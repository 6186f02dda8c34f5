"""Who gives a command: sudo's word, the kernel's, or the user of the process; never a name that was typed."""

import os

import pytest

from mailseal.cli import actor
from mailseal.cli.actor import caller


@pytest.fixture
def no_login(monkeypatch, tmp_path):
    """Nobody has logged in: a service, or a container."""
    file = tmp_path / "loginuid"
    file.write_text(str(2**32 - 1))
    monkeypatch.setattr(actor, "_LOGIN_UID", file)
    monkeypatch.delenv("SUDO_UID", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 0)
    return file


def test_behind_sudo(no_login, monkeypatch):
    monkeypatch.setenv("SUDO_UID", "1")
    monkeypatch.setenv("SUDO_USER", "somebody else")
    assert (caller().key, caller().name) == ("user:daemon", "daemon")


def test_behind_su(no_login):
    no_login.write_text("1\n")
    assert caller().name == "daemon"


def test_as_whom_it_runs(no_login):
    assert caller().name == "root"
    no_login.unlink()
    assert caller().name == "root"


def test_an_account_without_a_name(no_login, monkeypatch):
    monkeypatch.setenv("SUDO_UID", "4000000000")
    assert (caller().key, caller().name) == ("uid:4000000000", "user 4000000000")


@pytest.mark.parametrize("text", ["", "bin", "-1", "1 ", "\u0661", "9" * 30])
def test_what_is_no_user_id(no_login, monkeypatch, text):
    monkeypatch.setenv("SUDO_UID", text)
    assert caller().name in {"root", f"user {text}"}
    assert caller().name != "bin"
