"""Mail that Dora gets by a gateway with her OpenPGP key; Bob's is known and trusted.

outcome, octets = receive(HEAD + encrypted_mail(TEXT, PGP_READER)); header(octets, "x-mailseal-decrypted")
"""

from __future__ import annotations

from mailseal.mail.envelope import Origin
from mailseal.mail.message import Message
from mailseal.mail.mime import parse
from mailseal.openpgp.certificate import StoredPgpCertificate
from mailseal.pipeline import process
from mailseal.policy.model import Fate, Outcome
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Settings
from pgp_keys import PgpIdentity
from stage import PGP_PARTNER, PGP_READER, READER, Stage, envelope

DORA, ANNA, BOB = "dora@inside.example", "anna@inside.example", "bob@outside.example"
HEAD = b"From: Bob <bob@outside.example>\r\nTo: dora@inside.example\r\nSubject: Hello\r\nMIME-Version: 1.0\r\n"


def stage(*known: PgpIdentity, stored: tuple[StoredPgpCertificate, ...] = (), **settings: object) -> Stage:
    made = Stage(settings={"inside.example": Settings(**settings)}).own(READER).own_pgp(PGP_READER)
    made.pgp.stored += stored
    return made.know_pgp(*known)


def receive(raw: bytes, *to: str, on: Stage | None = None, **settings: object) -> tuple[Outcome, bytes]:
    """What the first reader gets: the outcome and the mail. `on`: a stage that has sent nothing yet."""
    on = on or stage(PGP_PARTNER, **settings)
    to_all = to or (DORA,)
    first, *_ = process(envelope(*to_all, sender=BOB, origin=Origin.OUTSIDE), Message(raw), on.gateway())
    assert first.fate is Fate.RELAYED
    return first, b"".join(on.sent[0].chunks[1:])


def header(octets: bytes, name: str) -> str | None:
    return parse(octets).root.header(name)


def codes(outcome: Outcome) -> set[ReasonCode]:
    return {one.code for one in outcome.reasons}
