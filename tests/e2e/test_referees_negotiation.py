"""What the referees say of themselves in signatures (RFC 8551 §2.5.2), and whether they read what we make of it."""

from collections.abc import Iterator
from typing import Any

import pytest

from harness import gpgsm, nss
from harness.gpgsm import Gpgsm
from harness.nss import Nss
from harness.openssl import Cms
from harness.referees import BODY, RSA, RefusedError
from mailseal.policy.settings import Cipher, CipherBits, KeyTransport, Settings, SmimeProfile
from mailseal.smime.capabilities import ALL, Capabilities
from mailseal.smime.encrypt import encrypt
from mailseal.smime.form import EncryptionForm
from mailseal.smime.negotiate import encryption_form, signature_form
from mailseal.smime.sign import sign
from mailseal.smime.verify import read_signed, verify
from pki import NOW

DEFAULT = Settings()
EDI = Settings(smime_profile=SmimeProfile.EDI)


@pytest.fixture(scope="module")
def referees(people, tmp_path_factory) -> Iterator[dict[str, Any]]:
    """All three, each with the keys of all."""
    if reason := gpgsm.why_not() or nss.why_not():
        pytest.skip(reason)
    owners = [people.people[kind] for kind in RSA]
    thunderbird = Nss(tmp_path_factory.mktemp("nss"), people.root)
    thunderbird.know(people.issuing)
    thunderbird.own(owners)
    with Gpgsm(people.root, [people.issuing], owners) as gnupg:
        yield {"openssl": Cms(tmp_path_factory.mktemp("cms"), people), "gpgsm": gnupg, "nss": thunderbird}


@pytest.fixture(scope="module")
def told(referees, people) -> dict[str, Capabilities]:
    """What each says in a signature of its own."""
    who = people.people["rsa2048"]
    signatures = {
        "openssl": referees["openssl"].sign("rsa2048"),
        "gpgsm": referees["gpgsm"].sign(BODY, [who]),
        "nss": referees["nss"].sign(BODY, who, "-P"),
    }
    found = {}
    for name, octets in signatures.items():
        (check,) = verify(read_signed(octets), BODY)
        assert check.capabilities is not None
        found[name] = check.capabilities
    return found


def reads(referees: dict[str, Any], name: str, octets: bytes) -> bool:
    referee = referees[name]
    opened = referee.decrypt(octets, "rsa2048") if name == "openssl" else referee.decrypt(octets)
    return opened == BODY


def test_what_each_says(told):
    assert {name: one.ciphers for name, one in told.items()} == {
        "openssl": {Cipher.AES256_CBC, Cipher.AES192_CBC, Cipher.AES128_CBC},
        "gpgsm": {Cipher.AES128_CBC},
        "nss": {Cipher.AES256_CBC, Cipher.AES128_CBC},
    }
    # None says more than it can, so that none gets what its limits in the other tables are about.
    assert {one.key_transports for one in told.values()} == {frozenset()}
    assert not any(one.pss for one in told.values())


@pytest.mark.parametrize("bits", CipherBits)
@pytest.mark.parametrize("name", ["openssl", "gpgsm", "nss"])
def test_each_reads_what_we_choose_for_it(referees, told, people, name, bits):
    settings = Settings(smime_min_cipher_bits=bits)
    form = encryption_form(settings, [told[name]])
    assert form == EncryptionForm()
    assert reads(referees, name, encrypt([BODY], people.certificates(*RSA), form))
    form = signature_form(settings, [told[name]])
    octets = sign(BODY, people.identity("rsa2048"), form, at=NOW)
    assert referees[name].verify(octets, BODY) == BODY


def test_one_ciphertext_that_all_read(referees, told, people):
    form = encryption_form(DEFAULT, [*told.values(), ALL])
    octets = encrypt([BODY], people.certificates(*RSA), form)
    assert all(reads(referees, name, octets) for name in referees)


def test_the_edi_profile_is_for_partners_who_asked_for_it(referees, told, people):
    form = encryption_form(EDI, [told["openssl"]])
    assert form == EncryptionForm(Cipher.AES128_CBC, KeyTransport.OAEP_SHA256)
    octets = encrypt([BODY], people.certificates(*RSA), form)
    assert reads(referees, "openssl", octets)
    for name in ("gpgsm", "nss"):
        with pytest.raises(RefusedError):
            reads(referees, name, octets)
    signed = sign(BODY, people.identity("rsa2048"), signature_form(EDI, [told["openssl"]]), at=NOW)
    for referee in referees.values():
        assert referee.verify(signed, BODY) == BODY
