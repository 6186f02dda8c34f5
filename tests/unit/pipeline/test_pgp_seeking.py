"""OpenPGP keys that a mail waits for, and keys that are made for its sender: only where nothing else will do."""

from dataclasses import replace

import pytest

from cms_samples import encrypted_entity as smime_encrypted
from mailseal.errors import PermanentError, TransientError
from mailseal.mail import reply
from mailseal.mail.address import Address
from mailseal.mail.envelope import Origin
from mailseal.mail.message import Message
from mailseal.openpgp.certificate import PgpTrust
from mailseal.pipeline.explain import explain
from mailseal.policy.model import Fate, Treatment
from mailseal.policy.reason import ReasonCode, because
from mailseal.policy.settings import Mode, PgpLookup, Settings
from mailseal.ports import Lookup, LookupState
from mailseal.smime.form import EncryptionForm
from mailseal.wiring.gateway import without_effects
from pgp_mails import TEXT
from pgp_outgoing import ANNA, BOB, HEAD, MUST, PAULA, X, go, opened, sent, stage
from stage import (
    PARTNER,
    PGP_PARTNER,
    PGP_PARTNER_2,
    SENDER,
    Stage,
    envelope,
    lasting_key,
    mail,
)


@pytest.mark.parametrize(
    ("wish", "state", "fate", "asked"),
    [
        (PgpLookup.OFF, LookupState.RUNNING, Fate.RELAYED, []),
        (PgpLookup.BACKGROUND, LookupState.RUNNING, Fate.RELAYED, [(X, False)]),
        (PgpLookup.WAIT, LookupState.RUNNING, Fate.DEFERRED, [(X, True)]),
        (PgpLookup.WAIT, LookupState.FINISHED, Fate.RELAYED, [(X, True)]),
        (PgpLookup.WAIT, LookupState.NEVER, Fate.RELAYED, [(X, True)]),
    ],
)
def test_what_a_mail_does_while_keys_are_looked_for(wish, state, fate, asked):
    for mode in (Mode.ALLOW, Mode.MANDATORY):
        on = stage(Settings(mode=mode, pgp_lookup=wish))
        on.lookups.answer = Lookup(state)
        (outcome,) = go(on, HEAD + TEXT, X)
        assert outcome.fate is (Fate.REFUSED if mode is Mode.MANDATORY and fate is Fate.RELAYED else fate)
        assert on.lookups.asked == asked
        if fate is Fate.DEFERRED:
            assert outcome.reply is reply.DEFERRED
            assert outcome.reasons[-1] == because(ReasonCode.LOOKUP_RUNNING, address=X)
            assert not on.sent


def test_what_was_found_is_used_at_once():
    on = stage(replace(MUST, pgp_lookup=PgpLookup.WAIT))
    found = lasting_key(f"<{X}>")

    def ask(address: Address, at: object, *, wait: bool) -> Lookup:
        on.know_pgp(found)
        return Lookup(LookupState.FINISHED)

    on.lookups.ask = ask
    (outcome,) = go(on, HEAD + TEXT, X)
    assert outcome.treatment is Treatment.SIGNED_ENCRYPTED
    assert opened(sent(on), found).literal == TEXT


def test_keys_are_looked_for_only_if_nothing_else_protects_the_mail():
    settings = Settings(pgp_lookup=PgpLookup.WAIT)
    on = stage(settings).know(PARTNER).own(SENDER)
    on.pgp.stored = [one for one in on.pgp.stored if one.has_key]
    go(on, mail(), BOB)
    go(on, mail(), X, sender="anna@inside.example")
    assert on.lookups.asked == [(X, True)]
    # S/MIME has a key, but the mail is too large for it.
    large = stage(replace(settings, smime_max_bytes=1024)).know(PARTNER)
    large.pgp.stored.clear()
    large.lookups.answer = Lookup(LookupState.RUNNING)
    (outcome,) = go(large, mail(body=b"x" * 70 + b"\r\n" * 20 + b"y\r\n" * 400), BOB)
    assert outcome.fate is Fate.DEFERRED
    # Nothing is to be encrypted, or the mail came encrypted.
    never = stage(replace(settings, mode=Mode.NEVER))
    go(never, mail(), X)
    go(never, HEAD + smime_encrypted([TEXT], [PARTNER.certificate], EncryptionForm()), X)
    assert never.lookups.asked == []


@pytest.mark.parametrize(
    ("settings", "stored", "asked"),
    [
        ({}, {}, [(BOB, False)]),
        ({"pgp_lookup": PgpLookup.BACKGROUND}, {}, [(BOB, False)]),
        ({"pgp_lookup": PgpLookup.OFF}, {}, []),
        ({}, {"trust": PgpTrust.TRUSTED}, []),
    ],
)
def test_what_is_used_because_a_domain_publishes_it_is_looked_for_again(settings, stored, asked):
    """Whatever comes of it, this mail goes on; but the domain can take a key back."""
    on = Stage(settings={"": replace(MUST, pgp_trust_wkd=True, **({"pgp_lookup": PgpLookup.WAIT} | settings))})
    on.know_pgp(PGP_PARTNER, **({"trust": PgpTrust.CANDIDATE, "own_domain": True} | stored))
    on.lookups.answer = Lookup(LookupState.RUNNING)
    (outcome,) = go(on, HEAD + TEXT, BOB)
    assert outcome.treatment is Treatment.ENCRYPTED
    assert on.lookups.asked == asked


def test_a_search_that_cannot_be_asked_for_defers():
    on = stage(Settings(pgp_lookup=PgpLookup.WAIT))

    def ask(*_: object, **__: object) -> Lookup:
        raise TransientError("away")

    on.lookups.ask = ask
    (outcome,) = go(on, mail(), X)
    assert outcome.fate is Fate.DEFERRED


# Keys that are made


MAKE = Settings(pgp_generate_signing_key=True)


def test_a_signing_key_is_made_once_if_that_is_set():
    on = Stage(settings={"": MAKE}).know_pgp(PGP_PARTNER)
    for _ in range(2):
        (outcome,) = go(on, HEAD + TEXT, BOB)
        assert outcome.treatment is Treatment.SIGNED_ENCRYPTED
    assert [one.certificate.user_ids[0].text for one in on.pgp.made] == [f"<{ANNA}>"]
    assert len(opened(sent(on), PGP_PARTNER).signatures) == 1


@pytest.mark.parametrize(
    ("settings", "to", "options"),
    [
        (Settings(), BOB, {}),
        (replace(MAKE, sign=False), BOB, {}),
        (replace(MAKE, pgp=False), BOB, {}),
        (replace(MAKE, sign_only_when_encrypting=True), X, {}),
        (replace(MAKE, pgp_max_bytes=1024), BOB, {}),
        (MAKE, BOB, {"origin": Origin.OUTSIDE}),
        (MAKE, BOB, {"sender": "eve@elsewhere.example"}),
    ],
)
def test_no_key_is_made_where_none_is_needed(settings, to, options):
    on = Stage(settings={"": settings}).know_pgp(PGP_PARTNER)
    body = b"The canary sings.\r\n" * 100
    go(on, mail(body=body, sender=options.get("sender", ANNA)), to, **options)
    assert on.pgp.made == []


def test_no_key_is_made_beside_a_certificate_that_signs():
    on = Stage(settings={"": MAKE}).know(PARTNER).own(SENDER).know_pgp(PGP_PARTNER, PGP_PARTNER_2)
    go(on, mail(), BOB, X)
    assert on.pgp.made == []
    go(on, mail(), PAULA)
    assert len(on.pgp.made) == 1


def test_a_key_that_cannot_be_made_leaves_the_mail_unsigned_or_defers_it():
    for error, treatment in ((PermanentError("no"), Treatment.ENCRYPTED), (TransientError("later"), Treatment.NONE)):
        on = Stage(settings={"": MAKE}).know_pgp(PGP_PARTNER)

        def create(*_: object, error: Exception = error) -> object:
            raise error

        on.pgp.create = create
        assert go(on, HEAD + TEXT, BOB)[0].treatment is treatment


def test_an_explanation_makes_no_key_and_asks_for_none():

    on = Stage(settings={"": replace(MAKE, pgp_lookup=PgpLookup.WAIT)}).know_pgp(PGP_PARTNER)
    told = explain(envelope(BOB, X), Message(mail()), without_effects(on.gateway()))
    assert [one.treatment for one in told] == [Treatment.ENCRYPTED, Treatment.PASSED]
    assert on.pgp.made == []
    assert on.lookups.asked == []
