"""`mailseal serve` with a Postfix of its own: in at the entry, through Mailseal, out again; and whoever is killed.

Clients call from 127.0.0.1 (of the authorised networks) and from 127.0.0.2 (the world).
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from harness import openssl
from harness.client import Client, Port, send
from harness.mail import CANARY, mail, without_trace
from harness.sink import Transaction
from harness.site import INSIDE, Site, people, private_site
from mailseal.postfix import master
from mailseal.postfix.program import Program

ANNA, CARL = f"anna@{INSIDE}", f"carl@{INSIDE}"
OLGA, NORA = "olga@out.example", "nora@out.example"
LIMIT = 300 << 10
SECONDS = 60.0


@pytest.fixture(scope="module")
def _site(need_postfix: None) -> Iterator[Site]:
    limits = {"max_message_bytes": LIMIT, "max_bytes_in_flight": 8 * LIMIT, "max_recipients": 30}
    with private_site("private", more={"verify_recipients": True}, top={"workers": 1}, limits=limits) as made:
        try:
            yield made
        finally:
            made.gateway.stop(seconds=SECONDS)
            if (left := master.left_over(made.postfix.queue)) is not None:  # where a test that kills its keeper failed
                master.end(left, made.postfix.queue, 5.0)


@pytest.fixture
def alpha(_site: Site) -> Iterator[Site]:
    _site.clear()
    _site.postfix.forget_log()
    yield _site
    _site.clear()
    _site.postfix.wait_until_empty(seconds=SECONDS)


def eventually(condition: Callable[[], object], what: str) -> None:
    until = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.05)


# ---- what it is


def test_serve_says_so_and_check_finds_nothing(alpha: Site) -> None:
    assert "postfix" in alpha.gateway.said().partition("ready (")[2].partition(")")[0]
    found = [row for row in alpha.gateway.rows("check") if row["check"] == "Postfix"]
    assert [row["status"] for row in found] == ["ok"], found
    assert alpha.gateway.run("postfix", "diff").returncode == 0


def test_its_folders_are_roots_and_its_log_is_for_the_gateway(alpha: Site) -> None:
    folder = alpha.postfix.folder
    for name in (".", "etc", "etc/main.cf", "etc/master.cf", "queue", "queue/mailseal", "log", "lock"):
        found = (folder / name).stat()
        assert found.st_uid == 0, name
        assert not found.st_mode & 0o022, name
    assert alpha.postfix.log.stat().st_mode & 0o777 == 0o640
    assert alpha.postfix.log.stat().st_gid == alpha.gateway.data.stat().st_gid


# ---- in and out


def test_from_the_world_to_us(alpha: Site) -> None:
    sent = mail(OLGA, CARL)
    assert send(alpha.postfix.mx, OLGA, [CARL], sent).end[0].startswith("250")
    [got] = alpha.inside.wait(1)
    assert (got.sender, got.recipients) == (OLGA, (CARL,))
    assert len(got.fields("Received")) == 3


def test_from_our_networks_to_the_world_signed_and_encrypted(alpha: Site) -> None:
    assert send(alpha.postfix.submission, ANNA, [OLGA], mail(ANNA, OLGA)).end[0].startswith("250")
    [got] = alpha.outside.wait(1)
    assert CANARY not in got.octets
    assert CANARY in openssl.verify(openssl.decrypt(got.octets, people().olga), people().root)


def test_from_the_world_nothing_is_signed_whoever_it_says_it_is(alpha: Site) -> None:
    send(alpha.postfix.mx, ANNA, [CARL], mail(ANNA, CARL))
    [got] = alpha.inside.wait(1)
    assert b"multipart/signed" not in got.octets


def test_by_sendmail_of_root_it_goes_through_mailseal_too(alpha: Site) -> None:
    done = subprocess.run(
        ["/usr/sbin/sendmail", "-C", str(alpha.postfix.folder / "etc"), "-f", ANNA, OLGA],
        input=mail(ANNA, OLGA).replace(b"\r\n", b"\n"), capture_output=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [got] = alpha.outside.wait(1, seconds=SECONDS)
    assert CANARY not in got.octets
    assert openssl.can_decrypt(got.octets, people().olga)


@pytest.mark.parametrize(
    "recipient",
    [
        "b@else.example",
        f"b%else.example@{INSIDE}",
        f'"b@else.example"@{INSIDE}',
        f"@{INSIDE}:b@else.example",
        f"else.example!b@{INSIDE}",
        f"b@sub.{INSIDE}",
        "b@[127.0.0.1]",
        "postmaster@postfix.invalid",
    ],
)
def test_it_is_no_open_relay(alpha: Site, recipient: str) -> None:
    with Client(alpha.postfix.mx) as client:
        client.command(f"MAIL FROM:<{OLGA}>")
        reply = client.command(f"RCPT TO:<{recipient}>")
        assert reply[0] == "5", reply
        assert client.command("DATA")[0] == "5"


def test_recipients_that_the_inner_server_does_not_have(alpha: Site) -> None:
    alpha.inside.rcpt_replies[f"nobody@{INSIDE}"] = "550 5.1.1 secret reason of 10.9.8.7"
    alpha.inside.rcpt_replies[f"later@{INSIDE}"] = "451 4.3.0 not now"
    with Client(alpha.postfix.mx) as client:
        client.command(f"MAIL FROM:<{OLGA}>")
        refused = client.command(f"RCPT TO:<nobody@{INSIDE}>")
        assert refused.startswith("550 5.1.1")
        assert "secret" not in refused
        assert client.command(f"RCPT TO:<later@{INSIDE}>").startswith("250"), "who cannot be asked about is taken"
        client.command("RSET")


# ---- octets

LINES = {
    "eight bits": "Grüße, naïve, Œuvre".encode(),
    "no character set": bytes(range(0x80, 0x100)),
    "longer than RFC 5321 has it": b"x" * 998 + b"y" * 5000,
    "longer than Postfix takes at once": b"z" * 40_000,
    "dots": b".",
    "more dots": b"..",
    "a bare carriage return": b"a\rb\r\rc",
    "blanks at the end": b"blanks   \t ",
    "looks like an end": b"From here on",
    "controls": bytes(one for one in range(1, 32) if one not in (10, 13)),
}
FIELDS = (
    f"Bcc: {NORA}\r\nReturn-Path: <kept@x.example>\r\nContent-Length: 7\r\nX-Long: {'w' * 3000}\r\n"
    "X-Folded: a\r\n\t b\r\n   c\r\nX-Empty:\r\nx-CASE:  odd\r\nSender: broken address here\r\n"
)


@pytest.mark.parametrize(
    ("sender", "recipient"), [(NORA, CARL), (CARL, NORA)], ids=["from the world", "from our networks"]
)
def test_octets_come_as_they_went_through_both_hops(alpha: Site, sender: str, recipient: str) -> None:
    body = b"\r\n".join(LINES.values()) + b"\r\n"
    sent = mail(sender, recipient, body=body, fields=FIELDS).replace(b"charset=utf-8", b"charset=iso-8859-1")
    port = alpha.postfix.mx if sender == NORA else alpha.postfix.submission

    assert send(port, sender, [recipient], sent, parameters="BODY=8BITMIME").end[0].startswith("250")

    [got] = (alpha.inside if sender == NORA else alpha.outside).wait(1)
    seen = b"" if sender == CARL else f"Bcc: {NORA}\r\n".encode()  # outside it would tell whom it shall hide
    kept = sent.replace(f"Bcc: {NORA}\r\n".encode(), seen)
    assert without_trace(got.octets) == kept


def test_addresses_and_headers_in_utf_8(alpha: Site) -> None:
    sender, recipient = "käthe@out.example", f"jörg@{INSIDE}"
    sent = mail(sender, recipient, subject="Grüße")
    assert send(alpha.postfix.mx, sender, [recipient], sent, parameters="BODY=8BITMIME SMTPUTF8").end[0][0] == "2"
    [got] = alpha.inside.wait(1)
    assert (got.sender, got.recipients) == (sender, (recipient,))
    assert "SMTPUTF8" in got.parameters
    assert without_trace(got.octets) == sent


def test_what_the_sender_wants_to_hear(alpha: Site) -> None:
    eventually(lambda: _announces_dsn(alpha), "DSN is not announced to Postfix")
    with Client(alpha.postfix.mx) as client:
        client.send(
            OLGA, [CARL], mail(OLGA, CARL), parameters="RET=HDRS ENVID=mark+2B1",
            recipient_parameters=f"NOTIFY=FAILURE,DELAY ORCPT=rfc822;{CARL}",
        )  # fmt: skip
    [got] = alpha.inside.wait(1)
    assert {"RET=HDRS", "ENVID=MARK+2B1"} <= {one.upper() for one in got.parameters}
    assert {one.upper() for one in got.recipient_parameters[0]} == {
        "NOTIFY=FAILURE,DELAY",
        f"ORCPT=RFC822;{CARL}".upper(),
    }


def _announces_dsn(alpha: Site) -> bool:
    with Client(path=alpha.postfix.lmtp_outside, lmtp=True) as client:
        return any(line[4:] == "DSN" for line in client.features)


def test_the_largest_mail_goes_through_although_it_grows(alpha: Site) -> None:
    with Client(alpha.postfix.submission) as client:
        [most] = [int(line[9:]) for line in client.features if line[4:8] == "SIZE"]
        assert LIMIT - 4096 < most < LIMIT, "there is room for Postfix's own field"
        filler = (os.urandom(36).hex().encode() + b"\r\n") * (LIMIT // 74)
        sent = mail(ANNA, OLGA, body=filler)[: most - 2] + b"\r\n"
        assert client.send(ANNA, [OLGA], sent).end[0].startswith("250")
        assert client.send(ANNA, [OLGA], sent + filler).end[0].startswith("552 5.3.4")
        assert client.command(f"MAIL FROM:<{ANNA}> SIZE={most + 1}").startswith("552 5.3.4")
    [got] = alpha.outside.wait(1)
    assert len(got.octets) > LIMIT * 4 // 3


def test_the_limit_of_recipients_is_ours(alpha: Site) -> None:
    with Client(alpha.postfix.submission) as client:
        client.command(f"MAIL FROM:<{ANNA}>")
        replies = [client.command(f"RCPT TO:<r{number}@out.example>")[:3] for number in range(31)]
        assert replies == ["250"] * 30 + ["452"]
        client.command("RSET")


# ---- smuggling

ENDS = {"LF.LF": b"\n.\n", "CRLF.LF": b"\r\n.\n", "LF.CRLF": b"\n.\r\n", "CR.CR": b"\r.\r", "CRLF.CR": b"\r\n.\r"}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("port", ["mx", "submission", "reinjection"])
def test_nothing_is_smuggled_inside_a_mail(alpha: Site, end: str, port: str) -> None:
    recipient = CARL if port == "mx" else NORA
    smuggled = f"MAIL FROM:<{ANNA}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\nSubject: smuggled\r\n\r\nx".encode()
    where: int | Port = getattr(alpha.postfix, port)
    with Client(where) as client:
        client.command("MAIL FROM:<mallory@out.example>")
        client.command(f"RCPT TO:<{recipient}>")
        assert client.command("DATA").startswith("354")
        client.socket.sendall(b"Subject: outer\r\n\r\nfirst" + ENDS[end] + smuggled + b"\r\n.\r\n")
        reply = client.reply()
        assert client.command("NOOP").startswith("250"), "there was more than one reply"
    if b"\n" in ENDS[end].replace(b"\r\n", b""):
        assert reply.startswith("550 5.5.2"), reply
        return
    assert reply.startswith("250")
    [got] = (alpha.inside if port == "mx" else alpha.outside).wait(1)
    assert got.sender == "mallory@out.example"
    assert (b"\r\n\r" if end == "CRLF.CR" else ENDS[end]) + b"MAIL FROM" in got.octets  # RFC 5321 §4.5.2


def test_commands_after_data_count_for_nothing(alpha: Site) -> None:
    with Client(alpha.postfix.mx) as client:
        commands = f"MAIL FROM:<{OLGA}>\r\nRCPT TO:<{CARL}>\r\nDATA\r\nSubject: early\r\n\r\nx\r\n.\r\nQUIT\r\n"
        client.socket.sendall(commands.encode())
        replies = []
        while (line := client.stream.readline()) and not line.startswith(b"221"):
            replies.append(line[:3])
    assert b"250" not in replies[2:], replies
    assert not alpha.inside.mails


# ---- who is killed


def _keeper(alpha: Site) -> int:
    [pid] = alpha.gateway.processes("mailseal.roles.postfix_role")
    return pid


def _all_gone(alpha: Site) -> None:
    eventually(lambda: not alpha.gateway.processes(), "a role outlived its supervisor")


def _comes_again(alpha: Site, before: int) -> None:
    eventually(lambda: alpha.postfix.lives() and alpha.postfix.master() != before, "Postfix did not come again")
    eventually(alpha.postfix.greets, "Postfix does not greet")
    send(alpha.postfix.mx, OLGA, [CARL], mail(OLGA, CARL))
    alpha.inside.wait_for(_came(CARL), "a mail afterwards", seconds=SECONDS)


def _came(recipient: str) -> Callable[[list[Transaction]], bool]:
    return lambda kept: any(recipient in one.recipients for one in kept)


def test_a_killed_master_is_started_again(alpha: Site) -> None:
    before = alpha.postfix.master()
    os.kill(before, signal.SIGKILL)
    _comes_again(alpha, before)


def test_of_a_killed_keeper_the_master_that_is_left_is_replaced(alpha: Site) -> None:
    before, lives = alpha.postfix.master(), alpha.postfix.daemons()
    os.kill(_keeper(alpha), signal.SIGKILL)
    _comes_again(alpha, before)
    assert not lives()
    assert f"Postfix (process {before}) is left over" in alpha.gateway.said()


def test_a_killed_supervisor_leaves_nothing_and_its_queue_comes_again(alpha: Site) -> None:
    alpha.inside.down()
    send(alpha.postfix.mx, OLGA, [CARL], mail(OLGA, CARL))
    alpha.postfix.wait_for_log("status=deferred", seconds=SECONDS)
    lives = alpha.postfix.daemons()

    alpha.gateway.kill()

    eventually(lambda: not lives(), "Postfix outlived its supervisor")
    _all_gone(alpha)
    assert alpha.postfix.waiting()
    alpha.inside.up()
    alpha.gateway.start(seconds=SECONDS)
    alpha.inside.wait(1, seconds=SECONDS)


def test_killed_with_its_keeper_the_next_one_takes_its_place(alpha: Site) -> None:
    before, keeper = alpha.postfix.master(), _keeper(alpha)
    os.kill(keeper, signal.SIGSTOP)  # so that it does not see the end of its supervisor
    alpha.gateway.kill()
    os.kill(keeper, signal.SIGKILL)
    assert alpha.postfix.lives()
    _all_gone(alpha)

    alpha.gateway.start(seconds=SECONDS)

    _comes_again(alpha, before)


def test_another_gateway_keeps_away_from_its_folder(alpha: Site) -> None:
    done = subprocess.run(
        [os.sys.executable, "-P", "-m", "mailseal.roles.postfix_role", "--config", str(alpha.gateway.config)],
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 78
    assert "another `mailseal serve` has its Postfix" in done.stderr
    assert alpha.postfix.lives()


# ---- reload


def test_a_reload_is_read_by_the_same_postfix_and_a_bad_one_is_not(alpha: Site) -> None:
    before, text = alpha.postfix.master(), alpha.gateway.config.read_text()
    assert not _relays(alpha, "127.0.0.3")
    other = text.replace('["127.0.0.1/32"]', '["127.0.0.3/32"]')

    _reload(alpha, other)

    eventually(lambda: _relays(alpha, "127.0.0.3"), "the new network may not relay")
    eventually(lambda: not _relays(alpha, "127.0.0.1"), "the old network may still relay")

    main_cf = alpha.postfix.folder / "etc" / "main.cf"
    content = main_cf.read_bytes()
    _reload(alpha, other.replace('in_flow_delay = "0s"', 'in_flow_delay = "soon"'))
    eventually(lambda: "Postfix goes on as before: in_flow_delay" in alpha.gateway.said(), "a bad reload was taken")
    assert main_cf.read_bytes() == content
    assert _relays(alpha, "127.0.0.3")
    assert alpha.postfix.master() == before


def _reload(alpha: Site, text: str) -> None:
    alpha.gateway.config.write_text(text)
    ready = alpha.gateway.output.read_text().count("ready (")
    os.kill(alpha.gateway.pid, signal.SIGHUP)
    eventually(lambda: alpha.gateway.output.read_text().count("ready (") > ready, "the reload is not ready")


def _relays(alpha: Site, source: str) -> bool:
    with Client(alpha.postfix.mx, source=source) as client:
        client.command(f"MAIL FROM:<{OLGA}>")
        return client.command("RCPT TO:<b@else.example>").startswith("250")


def test_stopped_while_it_delivers_it_ends_that_first(alpha: Site) -> None:
    alpha.inside.data_delay_seconds = 2.0
    try:
        send(alpha.postfix.mx, OLGA, [CARL], mail(OLGA, CARL))
        alpha.postfix.wait_for_log("queued as", seconds=SECONDS)  # it has come back, and goes on to the slow server
        eventually(lambda: alpha.inside.delays, "the inner server has no mail")
        assert alpha.gateway.stop(seconds=SECONDS) == []
    finally:
        alpha.inside.data_delay_seconds = 0.0
    assert "status=sent (250 2.0.0 kept)" in alpha.postfix.maillog()
    # Nobody was left to take the file away; the next master does, and delivers nothing a second time.
    again = master.start(Program(alpha.postfix.folder / "etc"))
    try:
        alpha.postfix.wait_until_empty(seconds=SECONDS)
    finally:
        master.end(again.pid, alpha.postfix.queue, 5.0, again.poll)
    assert len(alpha.inside.mails) == 1
