"""What every row of METHODS must do."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.errors import TransientError
from mailseal.mail.address import Address
from mailseal.mail.mime import parse
from mailseal.methods import METHODS
from mailseal.methods.layer import Opening
from mailseal.pipeline.open_path import held_by, open_mail
from mailseal.policy.model import Already, MethodName, Party
from mailseal.policy.reason import Reason
from mailseal.policy.settings import Settings
from pki import NOW
from stage import PARTNER, PGP_PARTNER, PGP_READER, PGP_SENDER, READER, SENDER, Stage

ENTITY = b"Content-Type: text/plain\r\n\r\nThe canary sings.\r\n"
HEAD = b"From: anna@inside.example\r\nMIME-Version: 1.0\r\n"


@dataclass(frozen=True)
class Rig:
    """What a method's contract needs: a stage where it works, and settings that switch it off."""

    stage: Callable[[], Stage]
    off: Settings


RIGS = {
    MethodName.SMIME: Rig(lambda: Stage().know(PARTNER, READER).own(SENDER, READER), Settings(smime=False)),
    MethodName.PGP: Rig(
        lambda: Stage().know_pgp(PGP_PARTNER, PGP_READER).own_pgp(PGP_SENDER, PGP_READER), Settings(pgp=False)
    ),
}
ANNA, DORA = Address.parse("anna@inside.example"), Address.parse("dora@inside.example")


def opening(stage: Stage, *, keys: bool = True) -> Opening:
    held = held_by(stage.gateway(), DORA) if keys else {}
    return Opening(Party(DORA, True, Settings()), held, stage, stage.pgp, NOW, (ANNA,))


def test_every_method_has_a_row_and_a_rig():
    assert list(METHODS) == list(MethodName) == list(RIGS)


@pytest.fixture(params=list(METHODS))
def name(request):
    return request.param


def test_keys_are_fingerprints_or_a_reason(name):
    stage, method = RIGS[name].stage(), METHODS[name]
    keys = method.usable_keys(stage.gateway(), DORA, Settings(), NOW)
    assert isinstance(keys, tuple)
    assert keys
    assert isinstance(method.usable_keys(stage.gateway(), Address.parse("x@y.example"), Settings(), NOW), Reason)
    assert isinstance(method.usable_keys(stage.gateway(), DORA, RIGS[name].off, NOW), Reason)


def test_what_it_encrypts_only_the_reader_opens(name):
    stage, method = RIGS[name].stage(), METHODS[name]
    keys = method.usable_keys(stage.gateway(), DORA, Settings(), NOW)
    made = method.encrypt(stage.gateway(), [ENTITY[:10], memoryview(ENTITY)[10:]], keys, Settings(), NOW)
    octets = b"".join(made.entity)
    assert made.algorithm
    assert b"canary" not in octets
    root = parse(HEAD + octets).root
    assert method.already(root) is Already.ENCRYPTED
    kind = method.recognise(root, Settings())
    peeled = method.peel(root, kind, opening(stage), 0)
    (layer,) = peeled.layers
    assert layer.ok
    assert peeled.decrypted
    assert bytes(peeled.inner.octets) == ENTITY
    shut = method.peel(root, kind, opening(stage, keys=False), 0)
    (layer,) = shut.layers
    assert not layer.ok
    assert layer.reason is not None
    assert shut.inner is None


def test_what_is_signed_for_a_reader_is_opened_by_him_with_its_signature(name):
    stage, method = RIGS[name].stage(), METHODS[name]
    keys = method.usable_keys(stage.gateway(), DORA, Settings(), NOW)
    signer = method.signer(stage.gateway(), ANNA, Settings(), NOW)
    signed = method.sign(stage.gateway(), ENTITY, signer, keys, Settings(), NOW)
    made = method.encrypt(stage.gateway(), signed, keys, Settings(), NOW)
    root = parse(HEAD + b"".join(made.entity)).root
    found = open_mail(root, opening(stage))
    assert found.decrypted
    assert found.signed_by_sender
    assert found.content is not None
    assert ENTITY in bytes(found.content.buffer)


def test_a_reader_holds_what_is_his_and_nobody_else_does(name):
    stage, method = RIGS[name].stage(), METHODS[name]
    held = method.held(stage.gateway(), DORA)
    assert set(held) <= set(method.usable_keys(stage.gateway(), DORA, Settings(), NOW))
    assert held
    assert method.held(stage.gateway(), Address.parse("x@y.example")) == ()


def test_a_mail_without_anything_of_it_is_left_as_it_is(name):
    stage, method = RIGS[name].stage(), METHODS[name]
    root = parse(HEAD + ENTITY).root
    assert method.recognise(root, Settings()) is None
    assert method.already(root) is Already.NOTHING
    assert method.harvest(root, root, Settings()) == ()
    assert method.tidy(root, Settings()) is root
    assert method.announce(stage.gateway(), ANNA, Settings(), NOW) == ()
    assert method.additional(Settings()) == ()


def test_what_it_signs_verifies_and_a_change_is_seen(name):
    stage, method = RIGS[name].stage(), METHODS[name]
    signer = method.signer(stage.gateway(), ANNA, Settings(), NOW)
    made = method.sign(stage.gateway(), ENTITY, signer, (), Settings(), NOW)
    octets = b"".join(made.entity)
    assert made.algorithm
    root = parse(HEAD + octets).root
    assert method.already(root) is Already.SIGNED
    (layer,) = method.peel(root, method.recognise(root, Settings()), opening(stage), 0).layers
    assert layer.ok
    assert [one.good for one in layer.signers] == [True]
    changed = parse(HEAD + octets.replace(b"canary", b"cuckoo")).root
    (layer,) = method.peel(changed, method.recognise(changed, Settings()), opening(stage), 0).layers
    assert not layer.ok
    assert not any(one.good for one in layer.signers)


def test_a_missing_private_key_is_transient(name):
    stage, method = RIGS[name].stage(), METHODS[name]
    signer = method.signer(stage.gateway(), ANNA, Settings(), NOW)
    stage.keys.clear()
    with pytest.raises(TransientError):
        method.sign(stage.gateway(), ENTITY, signer, (), Settings(), NOW)


def test_a_key_that_is_gone_has_the_mail_planned_anew(name):
    stage, method = RIGS[name].stage(), METHODS[name]
    with pytest.raises(TransientError):
        method.encrypt(stage.gateway(), [ENTITY], ("00" * 32,), Settings(), NOW)
    signer = method.signer(stage.gateway(), ANNA, Settings(), NOW)
    with pytest.raises(TransientError):
        method.sign(stage.gateway(), ENTITY, signer, ("00" * 32,), Settings(), NOW)
    with pytest.raises(TransientError):
        method.signing(stage.gateway(), ("00" * 32,), Settings())


def test_readers_for_whom_is_signed_alike_have_equal_forms(name):
    stage, method = RIGS[name].stage(), METHODS[name]
    keys = method.usable_keys(stage.gateway(), DORA, Settings(), NOW)
    forms = [method.signing(stage.gateway(), one, Settings()) for one in (keys, keys, ())]
    assert forms[0] == forms[1]
    assert len({*forms}) <= 2


@given(cut=st.integers(1, 3000), octet=st.integers(0, 255), truncate=st.booleans())
@pytest.mark.parametrize("which", list(METHODS))
def test_damaged_content_is_a_layer_that_is_not_ok_never_an_exception(which, cut, octet, truncate):
    stage, method = RIGS[which].stage(), METHODS[which]
    keys = method.usable_keys(stage.gateway(), DORA, Settings(), NOW)
    good = b"".join(method.encrypt(stage.gateway(), [ENTITY], keys, Settings(), NOW).entity)
    body = good.index(b"\r\n\r\n") + 4
    cut = body + cut % (len(good) - body)
    bad = good[:cut] + (b"" if truncate else bytes([octet]) + good[cut + 1 :])
    root = parse(HEAD + bad).root
    kind = method.recognise(root, Settings())
    if kind is not None:
        peeled = method.peel(root, kind, replace(opening(stage), max_bytes=100_000), 0)
        assert peeled.layers[0].ok or peeled.inner is None
