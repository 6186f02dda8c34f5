"""Submission: who has logged in sends as himself, signed; as nobody else, and signed as nobody else either."""

from __future__ import annotations

import os
import signal
import smtplib
import subprocess
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import openssl
from harness.mail import CANARY, mail
from harness.site import people
from harness.submission import PASSWORDS, b64, plain
from harness.waiting import PATIENCE_SECONDS
from mailseal.roles.login_limits import FAILURES_OF_LOGIN, FORGET_SECONDS

ANNA, BERT, CARL, INFO = (f"{name}@alpha.example" for name in ("anna", "bert", "carl", "info"))
NORA, OLGA = "nora@out.example", "olga@out.example"


def swaks(port: int, *words: str, sender: str = ANNA, author: str = ANNA, to: str = NORA) -> str:
    """What swaks says of a session that it has to its end."""
    done = subprocess.run(
        ["swaks", "--timeout", "60", "--server", "127.0.0.1", "--port", str(port), "--from", sender, "--to", to,
         "--data", "-", *words],
        input=mail(author, to).decode(), capture_output=True, text=True, timeout=2 * PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


# ---- logging in


@pytest.mark.parametrize("tls", ["--tls", "--tls-on-connect"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_user_logs_in_and_sends_signed(house, mechanism, tls):
    port = house.submission if tls == "--tls" else house.submissions
    said = swaks(port, tls, "--auth", mechanism, "--auth-user", "Anna", "--auth-password", PASSWORDS["anna"])
    assert "235 2.7.0" in said, said
    [got] = house.outside.wait(1)
    assert (got.sender, got.recipients) == (ANNA, (NORA,))
    assert CANARY in openssl.verify(got.octets, people().root)
    assert got.fields("From") == [ANNA]
    assert not [one for one in got.fields("Received") if "uthenticated" in one], "a login is nobody else's business"


def test_by_hand_over_tls(house):
    """openssl s_client: LOGIN in TLS from the first octet, the name along with the command."""
    client = ["openssl", "s_client", "-quiet", "-crlf", "-connect", f"127.0.0.1:{house.submissions}"]
    with subprocess.Popen(client, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as talk:

        def say(line: bytes) -> bytes:
            talk.stdin.write(line + b"\n")
            talk.stdin.flush()
            return heard()

        def heard() -> bytes:
            line = talk.stdout.readline()
            while line[3:4] == b"-":
                line = talk.stdout.readline()
            return line

        assert heard().startswith(b"220 ")
        say(b"EHLO client.example")
        assert say(b"AUTH LOGIN " + b64("deputy")).startswith(b"334 " + b64("Password:"))
        assert say(b64(PASSWORDS["deputy"])).startswith(b"235 ")
        assert say(b"MAIL FROM:<" + CARL.encode() + b">").startswith(b"250 ")
        assert say(b"QUIT").startswith(b"221 ")
        talk.wait(PATIENCE_SECONDS)


def test_without_tls_there_is_no_login(house):
    with smtplib.SMTP("127.0.0.1", house.submission, "client.example", timeout=PATIENCE_SECONDS) as session:
        session.ehlo()
        assert "auth" not in session.esmtp_features
        code, _ = session.docmd("AUTH", "PLAIN " + b64(f"\0anna\0{PASSWORDS['anna']}").decode())
        assert code in {503, 530}
        assert session.mail(ANNA)[0] == 530


def test_without_a_login_nothing_is_taken(house):
    with house.session() as session:
        session.mail(ANNA)
        code, said = session.rcpt(ANNA)
        assert (code, b"Access denied" in said) == (554, True)


def test_whoever_is_not_let_in_hears_the_same(house):
    wrong, unknown = house.try_login("anna", "wrong horse"), house.try_login("nobody", "wrong horse")
    assert wrong == unknown
    assert wrong == (535, "5.7.8 Error: authentication failed: wrong user or password")
    assert house.try_login("anna", "")[0] == 535
    house.gateway.wait_until_said("login refused login=anna result=wrong-password from=127.0.0.1 tls=yes")
    said = house.gateway.wait_until_said("login refused result=unknown from=127.0.0.1 tls=yes")
    for text in (said, house.maillog()):
        assert "wrong horse" not in text
        assert b64("\0anna\0wrong horse").decode() not in text


# ---- sending as somebody


@pytest.mark.parametrize(
    ("login", "sender"),
    [
        ("anna", BERT),
        ("anna", CARL),
        ("anna", "ceo@alpha.example"),
        ("anna", "anna+news@alpha.example"),
        ("anna", OLGA),
        ("bert@alpha.example", ANNA),
    ],
)
def test_nobody_sends_as_somebody_else(house, login, sender):
    with house.session(login) as session:
        session.mail(sender)
        code, said = session.rcpt(NORA)
    assert code == 553
    assert f"not owned by user {login}".encode() in said


@pytest.mark.parametrize(
    ("login", "sender", "author", "signer"),
    [
        ("anna", ANNA, ANNA, ANNA),
        ("anna", ANNA, BERT, None),
        ("anna", ANNA, OLGA, None),
        ("anna", INFO, ANNA, None),
        ("anna", "", ANNA, None),
        ("deputy", CARL, ANNA, ANNA),
        ("deputy", ANNA, ANNA, ANNA),
        ("bert@alpha.example", BERT, "Bert <BERT@alpha.example>", BERT),
    ],
)
def test_nobody_signs_as_somebody_else(house, login, sender, author, signer):
    with house.session(login) as session:
        assert session.sendmail(sender, [NORA], mail(author, NORA)) == {}
    [got] = house.outside.wait(1)
    if signer is None:
        assert b"multipart/signed" not in got.header
        assert CANARY in got.body
    else:
        content = openssl.verify(got.octets, people().root)
        assert CANARY in content
    reasons = house.decision()
    assert ("signed-by" in reasons) is (signer is not None)
    assert ("from-not-allowed" in reasons) is (signer is None and sender != "")


# ---- guessing


def test_who_guesses_is_locked_out_and_nobody_else(house):
    wrong = (535, "5.7.8 Error: authentication failed: wrong user or password")
    locked = (535, "5.7.8 Error: authentication failed: too many failures, try again in some minutes")
    answers = []
    began = time.monotonic()
    with ThreadPoolExecutor(10) as crowd:  # each of them waits longer for its answer than the one before
        while not answers or answers[-1] != locked:
            answers += crowd.map(lambda number: house.try_login("eve", f"guess number {number}"), range(10))
            answers.append(house.try_login("eve", "one more guess"))
    assert {answer for answer in answers if answer[0] != 454} == {wrong, locked}
    assert answers.count(wrong) < FAILURES_OF_LOGIN + 1 + (time.monotonic() - began) / FORGET_SECONDS
    assert house.try_login("eve") == locked, "not even with the password"
    house.wait_for(
        lambda: house.try_login("anna")[0] == 235, "that anna is let in"
    )  # who waits no longer has a turn yet


def test_a_disabled_login_is_out_at_once(house):
    with house.session("bert@alpha.example") as session:
        session.mail(BERT)
        assert session.rcpt(NORA)[0] == 250
        session.rset()
        house.gateway.cli("submission", "disable", "bert@alpha.example")
        try:
            house.wait_for(lambda: _is_refused(session), "the end of his session")
            assert house.try_login("bert@alpha.example")[0] == 535
        finally:
            house.gateway.cli("submission", "enable", "bert@alpha.example")
    assert house.try_login("bert@alpha.example")[0] == 235


def _is_refused(session: smtplib.SMTP) -> bool:
    session.mail(BERT)
    code, _ = session.rcpt(NORA)
    session.rset()
    return code == 553


# ---- failures


def test_without_the_database_nobody_is_told_that_his_password_is_wrong(house):
    database = house.gateway.data / "mailseal.db"
    aside = database.with_suffix(".aside")
    with house.session("anna") as session:
        database.rename(aside)
        try:
            assert house.try_login("anna")[0] == 454
            session.mail(ANNA)
            code, said = session.rcpt("never-asked-before@elsewhere.example")
            assert code == 451, said
        finally:
            aside.rename(database)
        session.rset()
        house.wait_for(lambda: house.try_login("anna")[0] == 235, "that logins work again")


def test_without_answers_mail_waits_and_is_not_lost(house):
    sockets = [house.queue / "mailseal" / name for name in ("socketmap", "auth")]
    with house.session("anna") as session, house.session() as other:
        session.mail(ANNA)
        session.rcpt(NORA)
        assert session.docmd("DATA")[0] == 354
        before = house.maps()
        for one in sockets:
            one.rename(one.with_suffix(".aside"))  # who is started now is not found
        try:
            os.kill(before, signal.SIGKILL)
            session.send(mail(ANNA, NORA) + b".\r\n")
            assert session.getreply()[0] == 250
            assert plain(other, "anna", PASSWORDS["anna"])[0] == 454
            house.wait_for_log("status=deferred")
            assert not house.outside.mails
        finally:
            for one in sockets:
                one.with_suffix(".aside").rename(one)
        # The queue manager remembers for half a minute what it was told of the last address.
        assert session.sendmail(ANNA, ["udo@elsewhere.example"], mail(ANNA, "udo@elsewhere.example")) == {}
    for got in house.outside.wait(2, seconds=2 * PATIENCE_SECONDS):
        assert CANARY in openssl.verify(got.octets, people().root)
    house.wait_for(lambda: house.gateway.processes("maps") not in ([], [before]), "that the role was started again")


def test_what_was_counted_is_shown(house):
    with urllib.request.urlopen(f"http://{house.metrics}/metrics", timeout=PATIENCE_SECONDS) as answer:
        page = answer.read().decode()
    with urllib.request.urlopen(f"http://{house.metrics}/healthz", timeout=PATIENCE_SECONDS) as answer:
        assert answer.read() == b"ok\n"
    assert 'mailseal_logins_total{result="accepted"}' in page
    assert 'mailseal_map_answers_total{answer="ok",table="sender-logins"}' in page
    assert 'mailseal_processes_ready{role="maps"} 1.0' in page
