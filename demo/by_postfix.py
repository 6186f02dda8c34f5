"""The sample mails that show what Postfix does beside Mailseal: mail waits, wants TLS, comes from who has logged in."""

import json
import shlex
import smtplib
import ssl
from typing import Any

from demo.company import LOGIN_PASSWORD, Company
from demo.peer import LOOPBACK, server_context, transfer
from demo.pki import Authority
from demo.samples import ANNA, BEA, BERT, CAROL, SECRET, Sample, Stage, Told, form_of, letter, wait_until

ACCEPTED = 250


def waited(stage: Stage) -> Told:
    """The next server is down, then it is there again."""
    subject = "Merger: while you were away"
    stage.internet.go_away()
    try:
        code, text = transfer(stage.alpha.port, ANNA, [BEA], letter(ANNA, BEA, subject))
        waits = _waiting(stage.alpha)
    finally:
        stage.internet.come_back()
    stage.alpha.run("queue", "flush")
    arrived = stage.inboxes[stage.beta.domain].wait_for(subject)
    wire = stage.internet.wait_for(subject)
    return Told(
        [
            ("reply", f"{code} {text}"),
            ("queue list", _line(waits)),
            ("", "… and when it is up again:"),
            ("queue flush", f"on the wire: {form_of(wire)}"),
            ("delivered to", ", ".join(arrived.recipients)),
        ],
        [
            ("the queue says why it waits", waits["kind"] == "unreachable"),
            ("nothing is lost", SECRET in arrived.octets),
            ("it waited encrypted", SECRET not in wire.octets),
        ],
    )


def impostor(stage: Stage) -> Told:
    """Somebody else at the next server's address, with a certificate of the wrong name."""
    subject = "Merger: in confidence"
    server = f"[{LOOPBACK}]:{stage.internet.port}"
    policy = ("tls-policy", "set", server, "secure", "--match", stage.internet.name)
    stage.alpha.run(*policy)

    def told() -> str:
        answer = stage.alpha.postfix_is_told("tls", server)
        return answer if answer.startswith("secure") else ""  # before, it is what counts without a policy

    in_force = wait_until(told, "Postfix is not told of the TLS policy")
    on_wire, right = len(stage.internet.mails), stage.internet.tls
    mallory = Authority("Mallory & Sons").server("mx.mallory.example")
    stage.internet.tls = server_context(stage.folder / "mallory-server.pem", mallory.for_server)
    try:
        code, text = transfer(stage.alpha.port, ANNA, [CAROL], letter(ANNA, CAROL, subject))
        waits = _waiting(stage.alpha)
        seen = len(stage.internet.mails) - on_wire
    finally:
        stage.internet.tls = right
    stage.alpha.run("queue", "flush")
    wire = stage.internet.wait_for(subject)
    return Told(
        [
            ("", f"$ mailseal {shlex.join(policy)}"),
            ("Postfix is told", in_force),
            ("reply", f"{code} {text}"),
            ("queue list", _line(waits)),
            ("", "… and when the right server answers:"),
            ("queue flush", f"on the wire: {form_of(wire)}, but by {wire.tls or 'no TLS'}"),
        ],
        [
            ("the impostor got nothing", not seen),
            ("the mail waited for the right certificate", waits["kind"] == "tls" and wire.tls is not None),
        ],
    )


def logged_in(stage: Stage) -> Told:
    """Bert hands in mail as himself, as Anna, and with Anna in From."""
    own, borrowed = "Lunch on Friday", "Bonus for Bert"
    with smtplib.SMTP(LOOPBACK, stage.alpha.submission, timeout=30) as client:
        client.starttls(context=_trusting(stage.alpha))
        client.ehlo("client.example")
        wrong, login = _log_in(client, BERT, "a wrong guess"), _log_in(client, BERT, LOGIN_PASSWORD)
        as_himself = _send(client, BERT, CAROL, letter(BERT, CAROL, own))
        as_anna = _send(client, ANNA, CAROL, letter(ANNA, CAROL, borrowed))
        _send(client, BERT, CAROL, letter(ANNA, CAROL, borrowed))
    his, hers = stage.elsewhere.wait_for(own), stage.elsewhere.wait_for(borrowed)
    return Told(
        [
            ("a wrong password", wrong),
            ("his own", login),
            ("MAIL FROM Bert", as_himself),
            ("", f"on the wire: {form_of(his)}"),
            ("MAIL FROM Anna", as_anna),
            ("From: Anna", f"on the wire: {form_of(hers)}, and not signed"),
        ],
        [
            ("his password lets him in, a guess does not", login.startswith("235") and wrong.startswith("535")),
            ("he cannot send as Anna", as_anna.startswith("553")),
            ("nor have her sign", (form_of(his), form_of(hers)) == ("signed, readable", "readable")),
        ],
    )


def _waiting(company: Company) -> dict[str, str]:
    """What `mailseal queue list` says of the one mail that Postfix has tried in vain."""

    def mails() -> list[dict[str, Any]]:
        listed = company.run("queue", "list", "--queue", "deferred", "--json", quiet=True)
        return list(json.loads(listed)["mails"])

    [mail] = wait_until(mails, f"no mail waits at {company.name}")
    [one] = mail["recipients"]
    return {"sender": mail["sender"], "recipient": one["address"], "kind": one["kind"], "why": one["why"]}


def _line(waits: dict[str, str]) -> str:
    return f"{waits['sender']} → {waits['recipient']}: {waits['why']}"


def _trusting(company: Company) -> ssl.SSLContext:
    """As its people's mail programs: its own root counts, whatever the machine is called here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=company.ca.root.pem.decode())
    return context


def _log_in(client: smtplib.SMTP, user: str, password: str) -> str:
    try:
        return _said(client.login(user, password))
    except smtplib.SMTPAuthenticationError as error:
        return _said((error.smtp_code, error.smtp_error))


def _send(client: smtplib.SMTP, sender: str, to: str, octets: bytes) -> str:
    """The reply that decided it."""
    client.mail(sender)
    reply = client.rcpt(to)
    if reply[0] != ACCEPTED:
        client.rset()
        return _said(reply)
    return _said(client.data(octets))


def _said(reply: tuple[int, bytes | str]) -> str:
    code, text = reply
    return f"{code} {text.decode('ascii', 'replace') if isinstance(text, bytes) else text}"


SAMPLES = (
    Sample(
        "The next server is down",
        "Anna writes to Bea; Postfix keeps the mail, says why, and sends it when the server is there again",
        waited,
    ),
    Sample(
        "Mallory answers in the next server's place",
        "Carol has no certificate, so Anna's mail is protected by TLS alone; Alpha's policy wants the right server",
        impostor,
    ),
    Sample("Bert logs in, and writes as Anna", "port 587 of Alpha's Postfix, which asks Mailseal", logged_in),
)
