"""Mail that leaves a gateway with OpenPGP keys: Anna's own, those of Bob and Paula; and how a test looks at it.

on = stage(Settings(mode=Mode.NEVER)); (outcome,) = go(on, HEAD + TEXT, BOB); sent(on), opened(sent(on), PGP_PARTNER)
"""

from __future__ import annotations

from mailseal.mail.message import Message
from mailseal.mail.mime import Entity, parse
from mailseal.openpgp import mime
from mailseal.openpgp.inner import Inner
from mailseal.openpgp.message import read_encrypted
from mailseal.pipeline import process
from mailseal.policy.model import Outcome
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Mode, Settings
from pgp_keys import PgpIdentity
from stage import PGP_PARTNER, PGP_PARTNER_2, PGP_SENDER, Stage, envelope

ANNA, BOB, PAULA = "anna@inside.example", "bob@outside.example", "paula@outside.example"
X = "x@elsewhere.example"
"""Somebody without a key."""
HEAD = b"From: anna@inside.example\r\nTo: bob@outside.example\r\nMIME-Version: 1.0\r\n"
MUST = Settings(mode=Mode.MANDATORY)


def stage(settings: Settings | None = None, **by_address: Settings) -> Stage:
    on = Stage(settings={"": settings or Settings(), **by_address})
    return on.know_pgp(PGP_PARTNER, PGP_PARTNER_2).own_pgp(PGP_SENDER)


def go(on: Stage, raw: bytes, *to: str, **options: object) -> list[Outcome]:
    return process(envelope(*to, **options), Message(raw), on.gateway())


def sent(on: Stage, which: int = 0) -> Entity:
    """A mail that was sent, without the Received field on top."""
    return parse(b"".join(on.sent[which].chunks[1:])).root


def keys_of(*identities: PgpIdentity) -> list:
    return [pair for one in identities for pair in one.keys]


def opened(root: Entity, *readers: PgpIdentity) -> Inner:
    """What is in a multipart/encrypted."""
    assert mime.classify(root) is mime.LayerKind.ENCRYPTED
    message = read_encrypted(mime.read_message(mime.message_part(root)))
    return message.open(keys_of(*readers), max_bytes=1_000_000).inner


def codes(outcome: Outcome) -> list[ReasonCode]:
    return [one.code for one in outcome.reasons]
