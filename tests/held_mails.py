"""Mails to be held, for tests of the quarantine."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

from mailseal.mail.address import Address
from mailseal.mail.envelope import Client, Envelope, Origin, Protocol, Recipient, Tls
from mailseal.mail.message import Message
from mailseal.policy.held import Held, WhyHeld
from mailseal.policy.model import Action, Finding
from mailseal.policy.reason import ReasonCode, because

ANNA, X, Y = "Anna@alpha.example", "X@out.example", "y@out.example"
SECRET = "4111 1111 1111 1111"
RAW = f"From: {ANNA}\r\nTo: {X}\r\nSubject: numbers\r\n\r\nMy card is {SECRET}.\r\n".encode()
CARD = Finding("cards", Action.QUARANTINE, count=2, places=("body",), excerpt="4111 **** 1111", key="cards:1")
PLACE = Finding("a.zip is encrypted", Action.QUARANTINE, places=("a.zip",), key="encrypted:a.zip")
WHY = (because(ReasonCode.FINDING, name="cards", action="quarantine"),)


def envelope(to: str = X, sender: str | None = ANNA) -> Envelope:
    """With everything that an envelope can have."""
    recipient = Recipient(Address.parse(to), notify="SUCCESS,FAILURE", orcpt="rfc822;x+2Bold@out.example")
    return Envelope(
        sender=None if sender is None else Address.parse(sender),
        recipients=(recipient,),
        origin=Origin.AUTHORISED,
        protocol=Protocol.LMTP,
        client=Client("192.0.2.7", "pc7.alpha.example", "pc7"),
        queue_id="4XyZ1",
        eight_bit=True,
        smtputf8=True,
        ret="FULL",
        envid="QQ314159",
        tls=Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256),
        submission=True,
    )


def held(to: str = X, *, number: int = 1, sender: str | None = ANNA, at: datetime | None = None, **changes) -> Held:
    """One recipient's copy of the mail of an attempt."""
    made = Held(
        attempt=hashlib.sha256(b"%d" % number).digest(),
        envelope=envelope(to, sender),
        message_id="<1@alpha.example>",
        subject="numbers",
        why=WhyHeld.DLP,
        reasons=WHY,
        findings=(CARD,),
        hold_days=30,
        at=at or datetime.now(UTC),
    )
    return replace(made, **changes)


def message(raw: bytes = RAW) -> Message:
    """The mail itself."""
    return Message(raw)
