"""Which of several usable certificates counts: own before a domain's, known before new."""

from dataclasses import replace
from datetime import timedelta

from mailseal.mail.address import Address
from mailseal.methods.smime import MAX_KEYS_PER_RECIPIENT, Smime
from mailseal.policy.settings import Settings
from pki import NOW
from stage import ROOT, SENDER, Stage, stored

ANNA, BOB = SENDER.certificate.san_emails[0], "bob@outside.example"


def test_who_has_a_certificate_of_their_own_signs_with_it_and_not_with_the_newer_one_of_the_domain():
    domains = ROOT.issue("domain-signing-authority@inside.example", key="p256", not_before=NOW - timedelta(hours=1))
    assert domains.certificate.not_before > SENDER.certificate.not_before
    stage = Stage().own(SENDER)
    stage.keys_of[ANNA].insert(0, stored(domains, has_key=True, selected=True))
    assert Smime().signer(stage.gateway(), Address.parse(ANNA), Settings(), NOW) == SENDER.certificate.fingerprint

    stage.keys_of[ANNA].pop()
    assert Smime().signer(stage.gateway(), Address.parse(ANNA), Settings(), NOW) == domains.certificate.fingerprint


def test_new_keys_however_many_never_crowd_out_the_known_one():
    known = ROOT.issue(BOB, key="p256", not_before=NOW - timedelta(days=9))
    stage = Stage().know(known, *(ROOT.issue(BOB, key="p256") for _ in range(MAX_KEYS_PER_RECIPIENT + 5)))
    stage.certificates_of[BOB][1:] = [replace(one, conflict=True) for one in stage.certificates_of[BOB][1:]]
    found = Smime().usable_keys(stage.gateway(), Address.parse(BOB), Settings(), NOW)
    assert len(found) == MAX_KEYS_PER_RECIPIENT
    assert found[0] == known.certificate.fingerprint
