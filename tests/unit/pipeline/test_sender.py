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


def sender(author: str, sender: str | None = ANNA, origin: Origin = Origin.AUTHORISED, *, logins=None, **more: bool):
    root = parse(mail(sender=author)).root
    given = replace(envelope("bob@outside.example", sender=sender, origin=origin), **more)
    return sender_of(given, root, Stage(settings=SETTINGS), logins)


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


class Logins:
    """Who may use what, by login."""

    def __init__(self, **may_use: str) -> None:
        self.may_use = may_use

    def of(self, address: Address) -> frozenset[str]:
        return frozenset(name for name, those in self.may_use.items() if str(address) in those.split())


@pytest.mark.parametrize(
    ("logins", "envelope_sender", "author", "identity"),
    [
        # her own address needs no leave beyond Postfix's
        (None, ANNA, ANNA, ANNA),
        (Logins(), ANNA, "Anna <ANNA@inside.example>", ANNA),
        # another one: whoever may have handed it in may use it
        (Logins(anna=f"{ANNA} {DORA}"), ANNA, DORA, DORA),
        (Logins(anna=f"{ANNA} {DORA}", dora=DORA), ANNA, DORA, DORA),
        (Logins(anna=ANNA, dora=f"{DORA} {ANNA}"), DORA, ANNA, ANNA),
        # nobody may, or not all
        (None, ANNA, DORA, None),
        (Logins(), ANNA, DORA, None),
        (Logins(anna=ANNA, dora=DORA), ANNA, DORA, None),
        (Logins(dora=DORA), ANNA, DORA, None),
        # one that both have in common is not enough: it was the other one, perhaps
        (Logins(anna=f"{ANNA} {DORA}", bert=ANNA), ANNA, DORA, None),
        # nor may she sign what says that somebody outside wrote it
        (Logins(anna=ANNA), ANNA, EVE, None),
        (Logins(anna=f"{ANNA} {EVE}"), ANNA, EVE, ANNA),
    ],
)
def test_a_submitted_mail_is_signed_as_whom_its_login_may_be(logins, envelope_sender, author, identity):
    found = sender(author, envelope_sender, logins=logins, submission=True)
    assert found.identity == (identity and Address.parse(identity))
    assert found.no_identity == (None if identity else because(ReasonCode.FROM_NOT_ALLOWED))
    assert found.ours, "it is his mail all the same: triggers and reports are his"


@pytest.mark.parametrize(
    ("envelope_sender", "author", "reason"),
    [
        (None, ANNA, ReasonCode.NO_SIGNING_IDENTITY),
        (EVE, ANNA, ReasonCode.NO_SIGNING_IDENTITY),
        (ANNA, f"{ANNA}, {DORA}", ReasonCode.MANY_FROM),
        (ANNA, "nobody", ReasonCode.NO_SIGNING_IDENTITY),
    ],
)
def test_what_nobody_signs_as_a_login_does_not_either(envelope_sender, author, reason):
    everything = Logins(anna=f"{ANNA} {DORA} {EVE}")
    found = sender(author, envelope_sender, logins=everything, submission=True)
    assert (found.identity, found.no_identity) == (None, because(reason))


def test_a_submitted_mail_without_from_is_signed_as_its_envelope_sender():
    root = parse(b"Subject: x\r\n\r\nx\r\n").root
    given = replace(envelope("bob@outside.example", sender=ANNA), submission=True)
    assert sender_of(given, root, Stage(settings=SETTINGS)).identity == Address.parse(ANNA)


def test_mail_of_own_networks_is_signed_as_its_author():
    assert sender(DORA, ANNA, logins=Logins(anna=ANNA, dora=DORA)).identity == Address.parse(DORA)
