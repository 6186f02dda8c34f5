"""What is logged: of an exception where, never what; no value can forge a line; no destination can stop a mail."""

import json
import logging
import os
import re
import socket
import sys
import threading
import time
from contextlib import closing

import pytest

from mailseal.config import ConfigError, LogAddresses, from_values
from mailseal.roles import log_handlers, stderr
from mailseal.roles.log_lines import CURRENT_MAIL, scrubber
from mailseal.roles.logs import configure

SECRET = "s3cr3t-5d2c"
FORGED = "ok\n2026-01-01T00:00:00Z info    mail 1: decision fate=relayed"
logger = logging.getLogger("mailseal.test")


@pytest.fixture(autouse=True)
def _own_handlers(monkeypatch):
    for module, name in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(log_handlers, "TROUBLE", log_handlers.Trouble())
    monkeypatch.setattr(log_handlers, "LOOK_SECONDS", 0.0)
    root, ours = logging.getLogger(), logging.getLogger("mailseal")
    before, level, our_level = root.handlers[:], root.level, ours.level
    yield
    for handler in root.handlers:
        if handler not in before:
            handler.close()
    root.handlers[:] = before
    root.setLevel(level)
    ours.setLevel(our_level)


def log_to(destination="stderr", **more):
    configure(from_values({"log": {"destination": str(destination), **more}}, {}).log, "mail 1")


def _fail(body: str) -> None:
    raise ValueError(f"cannot parse {body}")


# ---- lines


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_exception_is_its_kind_and_places(form, capfd):
    log_to(format=form)
    try:
        _fail(SECRET)
    except ValueError:
        logger.exception("a mail could not be handled")
    said = capfd.readouterr().err
    assert SECRET not in said
    assert "a mail could not be handled" in said
    assert "ValueError at test_logs.py:" in said
    assert "_fail" in said
    assert "mail 1" in said


def test_less_important_events_are_left_out(capfd):
    log_to(level="warning")
    logger.info("nothing")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("hostile", [FORGED, "a\rb", "a\x1b[2Jb", "a\u2028b", "a\u202eb", "a\x85b", "a\ud800b", "a\0b"])
def test_no_value_makes_a_second_line_or_commands_a_terminal(form, hostile, capfd):
    log_to(format=form)
    logger.info("event of %s", hostile, extra={"sender": hostile, "reasons": [hostile]})
    said = capfd.readouterr().err
    assert said.endswith("\n")
    assert said[:-1].isprintable()
    assert len(said.splitlines()) == 1


def test_no_value_makes_a_field_of_text(capfd):
    log_to()
    logger.info("decision", extra={"fate": "refused", "sender": 'x" fate=relayed y="'})
    said = capfd.readouterr().err
    assert re.findall(r'(?:^| )(fate|sender)=("(?:[^"\\]|\\.)*"|\S+)', said.rstrip("\n")) == [
        ("fate", "refused"),
        ("sender", r'"x\" fate=relayed y=\""'),
    ]


def test_a_long_value_is_cut(capfd):
    log_to(format="json")
    logger.info("x", extra={"sender": "a" * 100_000})
    assert len(capfd.readouterr().err) < 2000


def test_every_line_about_a_mail_has_its_id(capfd):
    log_to(format="json")
    token = CURRENT_MAIL.set("00112233aabbccdd")
    logger.warning("next hop is slow")
    CURRENT_MAIL.reset(token)
    logger.warning("not about a mail")
    first, second = map(json.loads, capfd.readouterr().err.splitlines())
    assert first["mail"] == "00112233aabbccdd"
    assert "mail" not in second


@pytest.mark.parametrize(
    ("addresses", "shown"),
    [("full", "<nora@out.example>"), ("domain", "<…@out.example>"), ("hashed", "<<address>>"), ("none", "<<address>>")],
)
def test_addresses_in_what_a_next_hop_says(addresses, shown, capfd):
    log_to(addresses=addresses, format="text")
    logger.warning("the next hop said: %s", "550 <nora@out.example> unknown")
    assert shown in capfd.readouterr().err


@pytest.mark.parametrize(
    "local",
    ['"j smith"', r'"a\"b"', '"nora@x"', "o'brien", "bounce-nora=out.example", "nora+tag=x", "n/o|r{a}", "nörä"],
)
def test_no_piece_of_an_address_is_left(local):
    for around in ("<{}>", "{}", "to={}, gone", 'user "x" {}', "mailto:{}", "[{}]"):
        text = around.format(f"{local}@bücher.test")
        for mode, left in ((LogAddresses.DOMAIN, "…@bücher.test"), (LogAddresses.NONE, "<address>")):
            said = scrubber(mode)(text)
            assert left in said
            assert not any(piece in said for piece in re.findall(r"\w+", local) if len(piece) > 1)


@pytest.mark.parametrize("text", ["@" * 1000, "a" * 999 + "@", '"' * 999 + "@", "a@" * 500, '"a\\' * 300 + "@x"])
def test_addresses_are_looked_for_in_no_time(text):
    began = time.process_time()
    for _ in range(20):
        scrubber(LogAddresses.NONE)(text)
    assert time.process_time() - began < 0.5


def test_of_what_libraries_say_only_the_first_line_and_no_chatter(capfd):
    log_to(level="debug")
    logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: <Task exception=X('%s')>", SECRET)
    logging.getLogger("pymysql").debug(SECRET)
    said = capfd.readouterr().err
    assert "asyncio: Task exception was never retrieved" in said
    assert SECRET not in said


def test_an_uncaught_exception_is_told_without_its_text(capfd):
    log_to()
    thread = threading.Thread(target=_fail, args=(SECRET,))
    thread.start()
    thread.join()
    said = capfd.readouterr().err
    assert "ValueError at test_logs.py:" in said
    assert SECRET not in said


# ---- a file


def test_a_file_is_appended_to_and_followed_when_moved(tmp_path):
    path = tmp_path / "log"
    path.write_text("before\n")
    log_to(path)
    logger.info("one")
    path.rename(tmp_path / "log.1")
    logger.info("two")
    assert (tmp_path / "log.1").read_text().splitlines()[0] == "before"
    assert "one" in (tmp_path / "log.1").read_text()
    assert "two" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_file_that_cannot_be_written_is_said_once_and_lines_go_to_stderr(tmp_path, capfd):
    log_to(tmp_path / "missing" / "log")
    logger.info("one")
    logger.info("two")
    said = capfd.readouterr().err
    assert said.count("log lines cannot be written") == 1
    assert "one" in said
    assert "two" in said
    assert log_handlers.TROUBLE.errors == 2


def test_a_full_disk_leaves_no_line_glued_to_another(tmp_path, monkeypatch, capfd):
    path = tmp_path / "log"
    log_to(path)
    logger.info("one")
    really = os.write
    monkeypatch.setattr(
        log_handlers.os, "write", lambda fd, data: really(fd, data if fd == stderr.DESCRIPTOR else data[:10])
    )
    logger.info("two")
    monkeypatch.setattr(log_handlers.os, "write", really)
    logger.info("three")
    lines = path.read_text().splitlines()
    assert [line[-3:] for line in lines if ":" in line[-6:]][:1] == ["one"]
    assert lines[-1].endswith("three")
    assert len(lines) == 3
    assert "two" in capfd.readouterr().err
    logger.info("four")
    assert log_handlers.TROUBLE.errors == 1


def test_a_pipe_is_no_file(tmp_path, capfd):
    os.mkfifo(tmp_path / "pipe")
    log_to(tmp_path / "pipe")
    logger.info("one")
    assert "one" in capfd.readouterr().err


@pytest.fixture
def nobody_reads(monkeypatch):
    """Standard error is a pipe; its other end."""
    reading, writing = os.pipe()
    monkeypatch.setattr(stderr, "DESCRIPTOR", writing)
    yield reading
    os.close(writing)


def test_a_broken_stderr_stops_nothing(nobody_reads):
    os.close(nobody_reads)
    log_to()
    logger.error("one")
    assert log_handlers.TROUBLE.errors == 1


@pytest.mark.parametrize("flags", [os.RWF_NOWAIT, 1 << 30], ids=["this kernel", "one that cannot do it"])
def test_a_stderr_that_nobody_reads_stops_nothing(nobody_reads, monkeypatch, flags):
    monkeypatch.setattr(os, "RWF_NOWAIT", flags)
    log_to()
    for number in range(2000):  # more than a pipe holds
        logger.info("line %d", number, extra={"filling": "x" * 100})
    assert 0 < log_handlers.TROUBLE.errors < 2000
    lines = os.read(nobody_reads, 1 << 20).splitlines(keepends=True)
    assert len(lines) + log_handlers.TROUBLE.errors == 2000
    assert all(line.endswith(b"x\n") for line in lines)

    logger.info("read again")
    assert os.read(nobody_reads, 1 << 20).endswith(b"read again\n")
    os.close(nobody_reads)


def test_lines_of_processes_that_share_a_file_stay_whole(tmp_path):
    path = tmp_path / "log"
    log_to(path, format="json")
    threads = [
        threading.Thread(target=lambda: [logger.info("x" * 900, extra={"sender": "y" * 900}) for _ in range(50)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 200


# ---- journald


def test_journald_gets_a_datagram_of_fields(tmp_path):
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as journald:
        journald.bind(str(tmp_path / "socket"))
        journald.settimeout(5)
        log_to(f"journald:{tmp_path}/socket")
        logger.warning("next hop: %s", FORGED, extra={"sender": "a@b.example", "reasons": ["x", "y"], "code": 451})
        fields = dict(line.split("=", 1) for line in journald.recv(100_000).decode().splitlines())
    assert fields.pop("MESSAGE").startswith("next hop: ok\\x0a2026")
    assert fields == {
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "mailseal",
        "MAILSEAL_ROLE": "mail 1",
        "MAILSEAL_SENDER": "a@b.example",
        "MAILSEAL_REASONS": "x,y",
        "MAILSEAL_CODE": "451",
    }


def test_a_datagram_beyond_the_limit_is_cut(tmp_path, monkeypatch):
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as journald:
        journald.bind(str(tmp_path / "socket"))
        journald.settimeout(5)
        log_to(f"journald:{tmp_path}/socket")
        (handler,) = logging.getLogger().handlers
        handler._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the least there is: some 4 KiB
        logger.info("begin", extra={f"field{number}": "z" * 1000 for number in range(40)})
        got = journald.recv(100_000)
    assert got.startswith(b"MESSAGE=begin ")
    assert b"PRIORITY=6\n" in got
    assert len(got) < 8192
    assert log_handlers.TROUBLE.errors == 0


def test_without_journald_lines_go_to_stderr_with_one_warning(tmp_path, capfd):
    log_to(f"journald:{tmp_path}/none")
    logger.info("one")
    logger.info("two")
    said = capfd.readouterr().err
    assert said.count("log lines cannot be written") == 1
    assert "mail 1: one" in said
    assert "mail 1: two" in said


def test_a_journald_that_does_not_read_is_not_waited_for(tmp_path, capfd):
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as journald:
        journald.bind(str(tmp_path / "socket"))
        log_to(f"journald:{tmp_path}/socket")
        for number in range(2000):
            logger.info("line %d", number)
    assert log_handlers.TROUBLE.errors > 0
    assert capfd.readouterr().err.count("log lines cannot be written") == 1


@pytest.mark.parametrize("wrong", ["syslog", "log/file", "/var/log/", "journald:relative", ""])
def test_no_such_destination(wrong):
    with pytest.raises(ConfigError):
        from_values({"log": {"destination": wrong}}, {})
