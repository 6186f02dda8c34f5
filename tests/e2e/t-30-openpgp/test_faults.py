"""What is not there or dies while mail by OpenPGP flows: nothing in clear, nothing lost."""

from __future__ import annotations

import collections
import os
import random
import signal
from base64 import b64encode
from pathlib import Path

from harness import pgp_mime
from harness.killer import Killer
from harness.mail import CANARY, entity, mail
from harness.pgp_mime import encrypted, encrypted_part
from harness.pgp_site import ANNA, BERT, INA, PIA, SARA, PgpSite, pgp_people
from harness.senders import UntilAccepted
from harness.waiting import wait_until

MAILS = 12
READERS = (BERT, PIA, INA, SARA)


def letter(number: int) -> bytes:
    """Mail N, the same octets each time it is sent."""
    return (
        f"From: {ANNA}\r\nTo: {BERT}, {PIA}, {INA}\r\nSubject: no {number}\r\n"
        f"Message-ID: <story-{number}@client.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n"
    ).encode() + CANARY + b"\r\n"  # fmt: skip


def test_killed_while_mail_flows(alpha: PgpSite) -> None:
    """PGP/MIME, inline, alone as Bcc, and inside: each copy arrives; the key of a reader opens it."""
    sender = UntilAccepted(alpha.port, ANNA, READERS, letter)
    for sink in (alpha.inside, alpha.outside):
        sink.data_delay_seconds = 0.1
    with Killer(alpha.gateway, random.Random(7), 0.4) as killer:
        sender.send(MAILS, 6)
        wait_until(lambda: killer.done["mail"])
    alpha.gateway.wait_until_ready()
    sender.finish(120)
    kept = alpha.inside.mails + alpha.outside.mails
    count = collections.Counter(
        (one.fields("Message-ID")[0].strip("<>").partition("@")[0], reader) for one in kept for reader in one.recipients
    )
    assert set(count) == {(f"story-{number}", reader) for number in range(MAILS) for reader in READERS}
    in_flight = sender.in_flight()
    assert all(times - 1 <= in_flight[name] for (name, _), times in count.items()), (count, in_flight)
    for one in alpha.outside.mails:
        assert CANARY not in one.octets
        made = one.body if one.recipients == (INA,) else encrypted_part(one.octets)
        found = alpha.partner.read(made)
        assert CANARY in found.content
        assert found.signers == [pgp_people().anna.fingerprint]


def test_without_the_key_that_opens_keys_mail_waits(alpha: PgpSite) -> None:
    wire = pgp_mime.mail(PIA, ANNA, encrypted(alpha.partner.encrypt(entity(), ANNA, options=("--armor",))))
    (kek,) = (alpha.gateway.data / "keks").iterdir()
    right = kek.read_bytes()
    _go_on_with(alpha, kek, right.partition(b":")[0] + b":" + b64encode(bytes(32)) + b"\n")
    try:
        reply = alpha.send(ANNA, [PIA, SARA, INA], mail(ANNA, f"{PIA}, {SARA}"))
        assert [one[:3] for one in reply.end] == ["451"] * 3, reply
        assert alpha.arrive(PIA, [ANNA], wire).end[0].startswith("451")
        assert alpha.arrive(PIA, [BERT], mail(PIA, BERT)).end[0].startswith("250"), "what needs no key goes on"
        assert not alpha.outside.mails
    finally:
        _go_on_with(alpha, kek, right)
    assert alpha.send(ANNA, [SARA], mail(ANNA, SARA)).end[0].startswith("250")
    assert CANARY in alpha.partner.read(encrypted_part(alpha.outside.wait(1)[0].octets)).content
    assert alpha.arrive(PIA, [ANNA], wire).end[0].startswith("250")
    assert CANARY in alpha.inside.wait(2)[-1].body


def _go_on_with(alpha: PgpSite, kek: Path, octets: bytes) -> None:
    """The mail workers die, and those that follow find this key."""
    kek.chmod(0o600)
    kek.write_bytes(octets)
    kek.chmod(0o400)
    before = alpha.gateway.processes("mail")
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not set(before) & set(alpha.gateway.processes("mail")))
