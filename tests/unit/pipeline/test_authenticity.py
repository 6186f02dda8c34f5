"""What is said of incoming mail that is changed: DKIM and ARC as it came, results believed and forged, the seal."""

import re

import pytest

from cms_samples import encrypted_entity, signed_entity
from dkim_keys import Records, ed25519_key, rsa_key
from mailseal.dkim.arc import ChainState, validate
from mailseal.dkim.fields import Mail
from mailseal.dkim.seal import seal
from mailseal.dkim.sign import DkimKey, sign
from mailseal.mail.envelope import Origin
from mailseal.mail.message import Message
from mailseal.mail.mime import parse
from mailseal.pipeline import process
from mailseal.policy.model import Fate, Treatment
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Settings
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.sign import SigningIdentity
from pki import NOW
from stage import PARTNER, READER, Stage, envelope

OURS = DkimKey("inside.example", "s", rsa_key())
GATEWAYS = DkimKey("gw.inside.example", "g", ed25519_key())
THEIRS = DkimKey("outside.example", "s", ed25519_key())
LIST = DkimKey("list.example", "s", ed25519_key())
DNS = Records(OURS, GATEWAYS, THEIRS, LIST)

HEAD = (
    b"From: Bob <bob@outside.example>\r\nTo: dora@inside.example\r\nSubject: Hello\r\n"
    b"Message-ID: <2@outside.example>\r\nMIME-Version: 1.0\r\n"
)
PLAIN = HEAD + b"\r\nHello.\r\n"
SEALED = HEAD + encrypted_entity([b"\r\nThe canary sings.\r\n"], [READER.certificate], EncryptionForm())
FORGED = b"Authentication-Results: gw.inside.example; dkim=pass header.d=bank.example\r\n"
BORDER = b"Authentication-Results: border.example; spf=pass smtp.mailfrom=outside.example;\r\n\tdmarc=pass\r\n"


def signed(raw, key=THEIRS):
    return b"".join(sign(Mail.of_chunks([raw]), [key], NOW)) + raw


def sealed_by_list(raw):
    chain = validate(Mail.of_entity(parse(raw).root), DNS, NOW)
    return b"".join(seal(Mail.of_chunks([raw]), chain, "list.example; dkim=pass", LIST, NOW)) + raw


def receive(raw, *to, keys=(OURS,), believed=(), origin=Origin.OUTSIDE, stage=None, **settings):
    stage = stage or Stage(settings={"": Settings(**settings)}).own(READER)
    stage.sign_for_domains(*keys, believed=believed)
    stage.domain_keys.published = DNS.texts | stage.domain_keys.published
    given = envelope(*(to or ("dora@inside.example",)), sender="bob@outside.example", origin=origin)
    outcomes = process(given, Message(raw), stage.gateway())
    return outcomes, [b"".join(one.chunks[1:]) for one in stage.sent], stage


def values(copy, name="authentication-results"):
    return parse(copy).root.headers(name)


def chain_of(copy):
    return validate(Mail.of_entity(parse(copy).root), DNS, NOW)


def test_opened_mail_says_what_was_found_before_and_is_sealed():
    (outcome,), (copy,), _ = receive(signed(SEALED))
    assert outcome.treatment is Treatment.OPENED
    (value,) = values(copy)
    assert value.startswith("gw.inside.example;\tdkim=pass header.d=outside.example header.s=s ")
    assert value.endswith("arc=none")
    chain = chain_of(copy)
    assert (chain.state, chain.highest, chain.domain) == (ChainState.PASS, 1, "inside.example")
    assert "dkim=pass" in chain.sets[0].results.value
    assert copy.startswith(b"ARC-Seal: i=1;"), "it is the last change"
    assert {("dkim", "outside.example pass"), ("arc", "none"), ("arc-seal", "inside.example s")} <= set(outcome.details)


def test_mail_that_is_not_changed_gets_nothing_and_nobody_is_asked():
    raw = signed(PLAIN)
    (outcome,), (copy,), stage = receive(raw)
    assert copy == raw
    assert stage.domain_keys.asked == []
    assert outcome.treatment is Treatment.PASSED


def test_a_signed_mail_gets_marks_above_it_and_is_not_asked_about():
    by = SigningIdentity(PARTNER.certificate, PARTNER.key, tuple(PARTNER.chain))
    raw = signed(HEAD + signed_entity(b"\r\nHello.\r\n", by, SignatureForm(), at=NOW))
    _, (copy,), stage = receive(raw)
    assert copy.startswith(b"X-Mailseal-")
    assert copy.endswith(raw)
    assert stage.domain_keys.asked == []


def test_mail_that_is_only_tagged_is_checked_as_well():
    raw = signed(HEAD.replace(b"Hello", b"[encrypt] Hello") + b"\r\nHello.\r\n")
    _, (copy,), _ = receive(raw)
    assert b"\r\nSubject: Hello\r\n" in copy
    assert "dkim=pass" in values(copy)[0]


def test_a_chain_is_gone_on_with():
    raw = sealed_by_list(signed(SEALED))
    _, (copy,), _ = receive(raw)
    assert "arc=pass (i=1) header.d=list.example" in values(copy)[0]
    chain = chain_of(copy)
    assert (chain.state, chain.highest) == (ChainState.PASS, 2)


def test_a_broken_chain_is_sealed_as_such():
    raw = sealed_by_list(signed(SEALED)).replace(b"Subject: Hello", b"Subject: Goodbye")
    _, (copy,), _ = receive(raw)
    (value,) = values(copy)
    assert "dkim=fail" in value
    assert "arc=fail" in value
    assert b"ARC-Seal: i=2; a=rsa-sha256; cv=fail;" in copy
    assert chain_of(copy).over


def test_a_name_server_that_cannot_say_blocks_nothing():
    stage = Stage(settings={"": Settings()}).own(READER)
    stage.domain_keys.published |= dict.fromkeys(("s._domainkey.outside.example", "s._domainkey.list.example"))
    (outcome,), (copy,), _ = receive(sealed_by_list(signed(SEALED)), stage=stage)
    assert outcome.fate is Fate.RELAYED
    (value,) = values(copy)
    assert "dkim=temperror" in value
    assert "arc=temperror" in value
    assert b"ARC-Seal: i=2" not in copy
    assert stage.domain_keys.asked == ["s._domainkey.outside.example", "s._domainkey.list.example"]


def test_names_are_asked_for_once_and_not_without_end():
    many = SEALED
    for number in range(8):
        many = signed(many, DkimKey(f"d{number % 4}.example", "s", ed25519_key()))
    _, _, stage = receive(many)
    assert len(stage.domain_keys.asked) == 4


@pytest.mark.parametrize("origin", [Origin.OUTSIDE, Origin.AUTHORISED])
def test_results_forged_in_our_name_are_removed(origin):
    raw = FORGED + b"Received: from x by y\r\n" + FORGED.replace(b"gw.", b"(;) GW.") + BORDER + PLAIN
    _, (copy,), _ = receive(raw, origin=origin)
    assert b"bank.example" not in copy
    found = values(copy)
    assert found[-1].startswith("border.example;")
    assert [one for one in found if one.startswith("gw.inside.example")] == found[: len(found) - 1]
    assert len(found) == (2 if origin is Origin.OUTSIDE else 1), "what our own users send has no results of ours"


def test_without_forged_ones_other_results_stay_untouched():
    _, (copy,), _ = receive(BORDER + PLAIN)
    assert copy == BORDER + PLAIN


def test_results_of_who_is_believed_are_sealed():
    _, (copy,), _ = receive(b"Received: x\r\n" + BORDER + signed(SEALED), believed=["border.example"])
    said = chain_of(copy).sets[0].results.value
    assert "spf=pass smtp.mailfrom=outside.example" in said
    assert "dmarc=pass" in said
    assert "dkim=pass" in said
    assert said.index("gw.inside.example") < said.index("spf=pass")
    assert len(values(copy)) == 2


@pytest.mark.parametrize("raw", [
    FORGED.replace(b"gw.inside", b"other") + BORDER,
    BORDER.replace(b"border", b"evil"),
    b"Authentication-Results: border.example; spf=pass (\r\n",
    b"",
])  # fmt: skip
def test_results_of_who_is_not_are_not(raw):
    _, (copy,), _ = receive(raw + signed(SEALED), believed=["border.example"])
    assert "spf" not in chain_of(copy).sets[0].results.value


def test_who_is_believed_may_have_our_name():
    raw = b"Authentication-Results: gw.inside.example; spf=pass\r\nReceived: x\r\n" + FORGED + signed(SEALED)
    _, (copy,), _ = receive(raw, believed=["gw.inside.example"])
    assert b"bank.example" not in copy
    assert "spf=pass" in chain_of(copy).sets[0].results.value
    assert [re.split("[;\t ]+", one)[1] for one in values(copy)] == ["dkim=pass", "spf=pass"]


def test_what_they_say_of_dkim_goes_before_ours():
    raw = b"Authentication-Results: border.example; dkim=pass header.d=before-the-filter.example\r\n" + SEALED
    _, (copy,), _ = receive(raw, believed=["border.example"])
    said = chain_of(copy).sets[0].results.value
    assert "before-the-filter.example" in said
    assert "dkim=none" not in said
    assert "dkim=none" in values(copy)[0]


@pytest.mark.parametrize(("keys", "domain"), [
    ((OURS,), "inside.example"), ((GATEWAYS,), "gw.inside.example"), ((GATEWAYS, OURS), "inside.example"), ((), None),
    ((DkimKey("inside.example", "a", ed25519_key()), OURS), "inside.example"),
])  # fmt: skip
def test_whose_key_seals(keys, domain):
    _, (copy,), _ = receive(signed(SEALED), keys=keys)
    assert values(copy), "the results are told without a key, too"
    assert (chain_of(copy).domain or None) == domain
    if OURS in keys:
        assert b"ARC-Seal: i=1; a=rsa-sha256" in copy, "everybody can verify that"


def test_readers_of_two_domains_are_not_told_of_each_other():
    stage = Stage(internal={"inside.example", "other.example"}, settings={"": Settings()}).own(READER)
    raw = signed(HEAD.replace(b"Hello", b"[encrypt] Hello") + b"\r\nHello.\r\n")
    other = DkimKey("other.example", "s", ed25519_key())
    _, copies, _ = receive(raw, "dora@inside.example", "x@other.example", stage=stage, keys=(OURS, other, GATEWAYS))
    assert [chain_of(one).domain for one in copies] == ["gw.inside.example"]


@pytest.mark.parametrize("settings", [{"authentication_results": False}, {"arc_seal": False}])
def test_what_is_switched_off(settings):
    _, (copy,), stage = receive(signed(SEALED), **settings)
    assert bool(values(copy)) is settings.get("authentication_results", True)
    assert chain_of(copy).state is ChainState.NONE
    assert bool(stage.domain_keys.asked) is settings.get("authentication_results", True)


def test_a_mail_that_cannot_be_sealed_goes_on_unsealed():
    raw = HEAD + b"".join(b"References: <%d@a>\r\n" % number for number in range(60))
    raw += encrypted_entity([b"\r\nx\r\n"], [READER.certificate], EncryptionForm())
    (outcome,), (copy,), _ = receive(raw)
    assert outcome.fate is Fate.RELAYED
    assert any(one.code is ReasonCode.ARC_NOT_SEALED for one in outcome.reasons)
    assert chain_of(copy).state is ChainState.NONE


def test_a_structure_that_cannot_be_trusted_is_checked_all_the_same():
    raw = FORGED + signed(HEAD + b"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\nx\r\n")
    _, (copy,), _ = receive(raw)
    assert "dkim=pass" in values(copy)[0]
