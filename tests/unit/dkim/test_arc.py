"""Chains: sealed by one after the other they are good; whatever is missing, doubled or changed breaks them."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkim_keys import Records, ed25519_key, rsa_key
from mailseal.dkim.arc import MAX_SETS, ChainState, validate
from mailseal.dkim.fields import Mail
from mailseal.dkim.seal import may_seal, seal
from mailseal.dkim.sign import DkimKey, sign
from mailseal.mail.mime import parse

AT = datetime(2030, 1, 1, tzinfo=UTC)
RAW = (
    b"From: Anna <anna@example.com>\r\nTo: list@example.net\r\nSubject: Hello\r\n"
    b"Date: Tue, 1 Jan 2030 00:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\nHello,\r\n\r\nall is well.\r\n"
)
KEYS = [DkimKey("one.example", "s", rsa_key()), DkimKey("two.example", "s", ed25519_key())]
DNS = Records(*KEYS)


def chain_of(raw, records=None):
    return validate(Mail.of_entity(parse(raw).root), records or DNS, AT)


def sealed(raw, key, results="mx.example; dkim=none", records=None, changed=None):
    fields = seal(Mail.of_chunks([changed or raw]), chain_of(raw, records), results, key, AT)
    return b"".join(fields) + (changed or raw)


@pytest.fixture(scope="module")
def three():
    """Three handlers, of whom the second changes the mail."""
    once = sealed(RAW, KEYS[0])
    twice = sealed(once, KEYS[1], changed=once + b"-- \r\nthe list\r\n")
    return sealed(twice, KEYS[0])


def test_no_chain():
    assert chain_of(RAW).state is ChainState.NONE


def test_one_after_the_other(three):
    chain = chain_of(three)
    assert (chain.state, chain.highest, chain.domain) == (ChainState.PASS, 3, "one.example")
    assert [re.search(rb"cv=(\w+)", one.seal.raw)[1] for one in chain.sets] == [b"none", b"pass", b"pass"]
    assert [one.instance for one in chain.sets] == [1, 2, 3]


def test_the_fields_go_before_the_mail_as_one_set():
    names = [field.name for field in parse(sealed(RAW, KEYS[0])).root.fields][:3]
    assert names == ["arc-seal", "arc-message-signature", "arc-authentication-results"]


def test_a_signature_of_the_author_is_covered_and_may_be_followed_by_another():
    key = DkimKey("example.com", "s", ed25519_key())
    raw = sealed(b"".join(sign(Mail.of_chunks([RAW]), [key], AT)) + RAW, KEYS[0])
    assert chain_of(raw).state is ChainState.PASS
    assert chain_of(b"DKIM-Signature: v=1\r\n" + raw).state is ChainState.PASS
    assert chain_of(raw.replace(b"d=example.com", b"d=example.org")).state is ChainState.FAIL


@pytest.mark.parametrize(("old", "new"), [
    (b"all is well", b"all is lost"),
    (b"Subject: Hello", b"Subject: Goodbye"),
    (b"i=1; mx.example; dkim=none", b"i=1; mx.example; dkim=pass"),
    (b"i=2; mx.example; dkim=none", b"i=2; mx.example; dkim=pass"),
    (b"i=3; mx.example; dkim=none", b"i=3; mx.example; dkim=pass"),
    (b"ARC-Seal: i=1; a=rsa-sha256; cv=none", b"ARC-Seal: i=1; a=rsa-sha256; cv=pass"),
    (b"ARC-Seal: i=2; a=ed25519-sha256; cv=pass", b"ARC-Seal: i=2; a=ed25519-sha256; cv=none"),
    (b"ARC-Seal: i=2; a=ed25519-sha256; cv=pass", b"ARC-Seal: i=2; a=ed25519-sha256; cv=fail"),
    (b"ARC-Seal: i=3; a=rsa-sha256; cv=pass", b"ARC-Seal: i=3; a=rsa-sha256; cv=fail"),
    (b"ARC-Seal: i=3; a=rsa-sha256; cv=pass", b"ARC-Seal: i=3; a=rsa-sha256; cv=none"),
    (b"ARC-Seal: i=3; a=rsa-sha256", b"ARC-Seal: i=3; a=rsa-sha1"),
    (b"ARC-Seal: i=3; a=rsa-sha256", b"ARC-Seal: i=3; a=ed25519-sha256"),
    (b"ARC-Seal: i=3; ", b"ARC-Seal: i=3; h=From; "),
    (b"ARC-Seal: i=3; ", b"ARC-Seal: i=3; bh=QUJD; "),
    (b"ARC-Seal: i=3; ", b"ARC-Seal: i=4; "),
    (b"ARC-Seal: i=3; ", b"ARC-Seal: i=2; "),
    (b"ARC-Seal: i=3; ", b"ARC-Seal: i=0; "),
    (b"ARC-Seal: i=3; ", b"ARC-Seal: i=51; "),
    (b"ARC-Seal: i=3; ", b"ARC-Seal: "),
    (b"ARC-Seal: i=3; ", b"X-Seal: i=3; "),
    (b"ARC-Message-Signature: i=3; ", b"ARC-Message-Signature: i=3; v=1; "),
    (b"ARC-Message-Signature: i=3; ", b"X-Message-Signature: i=3; "),
    (b"ARC-Authentication-Results: i=1; ", b"ARC-Authentication-Results: "),
    (b"ARC-Authentication-Results: i=2; ", b"ARC-Authentication-Results: i=02; "),
])  # fmt: skip
def test_what_breaks_a_chain(three, old, new):
    assert three.count(old) == 1
    broken = chain_of(three.replace(old, new))
    assert broken.state is ChainState.FAIL
    assert broken.cause
    assert broken.over is (new.endswith(b"cv=fail") and b"i=3" in new)


def test_a_broken_old_signature_breaks_nothing(three):
    """Only the newest signature counts (§5.2): here the seals cover the first, so it is made anew as well."""
    once = sealed(RAW, KEYS[0])
    changed = once + b"more\r\n"
    assert chain_of(changed).state is ChainState.FAIL
    assert chain_of(three).state is ChainState.PASS  # its set 1 was made before set 2's handler changed the body


@pytest.mark.parametrize("name", [b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"])
def test_a_field_twice(three, name):
    field = re.search(name + rb": i=2;[^\n]*\n(?:[ \t][^\n]*\n)*", three)[0]
    assert chain_of(field + three).cause == "a set has a field twice"


def test_a_set_that_is_missing(three):
    for number in (b"1", b"2"):
        pattern = rb"(?m)^ARC-[A-Za-z-]+: i=" + number + rb";[^\n]*\n(?:[ \t][^\n]*\n)*"
        assert chain_of(re.sub(pattern, b"", three)).state is ChainState.FAIL
    newest = re.sub(rb"(?m)^ARC-[A-Za-z-]+: i=3;[^\n]*\n(?:[ \t][^\n]*\n)*", b"", three)
    assert chain_of(newest).state is ChainState.PASS


def test_a_signature_that_covers_what_it_must_not(three):
    for name in (b"ARC-Seal", b"Authentication-Results"):
        broken = three.replace(b"h=From:From:", b"h=From:" + name + b":From:", 1)
        assert "must not" in chain_of(broken).cause


def test_keys(three):
    assert chain_of(three, Records()).state is ChainState.FAIL
    records = Records(*KEYS)
    records.broken.add("s._domainkey.two.example")
    unknown = chain_of(three, records)
    assert unknown.state is ChainState.TEMPERROR
    assert not may_seal(unknown)
    records = Records(*KEYS)
    records.texts["s._domainkey.two.example"][0] += "; s=other"
    assert chain_of(three, records).state is ChainState.FAIL


def test_a_failed_chain_is_sealed_once_as_failed():
    once = sealed(RAW, KEYS[0])
    broken = once.replace(b"all is well", b"all is lost")
    chain = chain_of(broken)
    assert may_seal(chain)
    fields = seal(Mail.of_chunks([broken]), chain, "mx.example; arc=fail", KEYS[1], AT)
    assert b"ARC-Seal: i=2; a=ed25519-sha256; cv=fail" in fields[0]
    after = chain_of(b"".join(fields) + broken)
    assert after.over
    assert not may_seal(after)
    # What it covers is its own set alone (§5.1.2).
    alone = b"".join(fields).replace(b"i=2;", b"i=2;") + RAW.replace(b"all is well", b"all is lost")
    assert chain_of(alone).cause == "a set is not whole, or missing"


def test_fifty_are_enough():
    raw = RAW
    for _ in range(MAX_SETS):
        raw = sealed(raw, KEYS[1])
    full = chain_of(raw)
    assert (full.state, full.highest) == (ChainState.PASS, MAX_SETS)
    assert not may_seal(full)


@given(st.binary(max_size=60), st.sampled_from([b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"]))
def test_any_field_gives_a_chain_that_fails(octets, name):
    raw = name + b": " + octets.replace(b"\0", b"").replace(b"\r", b"").replace(b"\n", b"") + b"\r\n" + RAW
    assert chain_of(raw).state is ChainState.FAIL
