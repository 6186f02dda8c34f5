"""Whose settings count on the sending side, and who signs."""

from dataclasses import replace

import pytest

from mailseal.mail.address import Address
from mailseal.mail.envelope import Origin
from mailseal.mail.mime import parse
from mailseal.pipeline.sender import sender_of
from mailseal.policy.combine import stricter
from mailseal.policy.reason import ReasonCode, because
from mailseal.policy.settings import Mode, Settings
from stage import Stage, envelope, mail

ANNA, DORA, EVE = "anna@inside.example", "dora@inside.example", "eve@elsewhere.example"
SETTINGS = {
    "": Settings(mode=Mode.NEVER),
    ANNA: Settings(),
    DORA: Settings(mode=Mode.MANDATORY, sign=False),
}
NEVER, OF_ANNA, OF_DORA = SETTINGS.values()


def sender(author: str, sender: str | None = ANNA, origin: Origin = Origin.AUTHORISED):
    root = parse(mail(sender=author)).root
    return sender_of(envelope("bob@outside.example", sender=sender, origin=origin), root, Stage(settings=SETTINGS))


@pytest.mark.parametrize(
    ("envelope_sender", "author", "each", "mode", "internal"),
    [
        (ANNA, ANNA, (OF_ANNA,), Mode.ALLOW, True),
        (ANNA, DORA, (OF_ANNA, OF_DORA), Mode.MANDATORY, True),
        (ANNA, EVE, (OF_ANNA,), Mode.ALLOW, True),
        (ANNA, f"{DORA}, {ANNA}", (OF_ANNA,), Mode.ALLOW, True),
        (ANNA, "nobody", (OF_ANNA,), Mode.ALLOW, True),
        (EVE, DORA, (NEVER, OF_DORA), Mode.MANDATORY, False),
        (None, DORA, (NEVER, OF_DORA), Mode.MANDATORY, True),
        (None, EVE, (NEVER,), Mode.NEVER, False),
    ],
)
def test_whose_settings_count(envelope_sender, author, each, mode, internal):
    found = sender(author, envelope_sender)
    assert found.each == each
    assert found.settings.mode is mode
    assert found.internal is internal
    assert found.ours is internal
    assert not sender(author, envelope_sender, Origin.OUTSIDE).ours


def test_the_null_sender_leaves_from_alone_to_decide():
    assert sender(DORA, None).settings == OF_DORA
    assert sender(DORA, ANNA).settings == stricter(OF_ANNA, OF_DORA) == replace(OF_ANNA, mode=Mode.MANDATORY)


@pytest.mark.parametrize(
    ("envelope_sender", "author", "origin", "identity", "reason"),
    [
        (ANNA, ANNA, Origin.AUTHORISED, ANNA, None),
        (ANNA, DORA, Origin.AUTHORISED, DORA, None),
        (ANNA, EVE, Origin.AUTHORISED, ANNA, None),
        (ANNA, ANNA, Origin.OUTSIDE, None, ReasonCode.ORIGIN_OUTSIDE),
        (ANNA, f"{ANNA}, {DORA}", Origin.AUTHORISED, None, ReasonCode.MANY_FROM),
        (ANNA, "nobody", Origin.AUTHORISED, None, ReasonCode.NO_SIGNING_IDENTITY),
        (EVE, DORA, Origin.AUTHORISED, None, ReasonCode.NO_SIGNING_IDENTITY),
        (None, DORA, Origin.AUTHORISED, None, ReasonCode.NO_SIGNING_IDENTITY),
    ],
)
def test_who_signs(envelope_sender, author, origin, identity, reason):
    found = sender(author, envelope_sender, origin)
    assert found.identity == (identity and Address.parse(identity))
    assert found.no_identity == (reason and because(reason))
    assert found.authorised is (origin is Origin.AUTHORISED)
