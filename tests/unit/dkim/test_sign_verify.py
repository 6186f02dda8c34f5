"""Sign and verify: whatever is signed verifies, whatever was changed does not, and every other verdict."""

import base64
import re
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from dkim_keys import Records, both_keys, ec_key, ed25519_key, rsa_key
from mailseal.dkim.algorithms import KeyUnusableError, public_octets, sign_octets
from mailseal.dkim.canon import Canon, header_field
from mailseal.dkim.fields import HeaderTooLargeError, Mail
from mailseal.dkim.record import record_text
from mailseal.dkim.sign import DkimKey, Form, SigningError, sign, with_value
from mailseal.dkim.verify import MAX_SIGNATURES, Cause, Result, verify
from mailseal.mail.mime import parse

AT = datetime(2030, 1, 1, tzinfo=UTC)
HEADER = (
    b"From: Anna <anna@example.com>\r\nTo: Bob <bob@example.net>,\r\n\tCarl <carl@example.net>\r\n"
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=  and more\r\nDate: Tue, 1 Jan 2030 00:00:00 +0000\r\n"
    b"Message-ID: <1@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n"
)
MAIL = HEADER + b"Hello,\r\n\r\nall is well. \r\n\r\n\r\n"
FORMS = [Form(header, body) for header in Canon for body in Canon]
BODIES = st.one_of(
    st.binary(max_size=60),
    st.lists(st.sampled_from([b"\r\n", b"\r", b" ", b"\t", b"x", b".", b"\xe4"]), max_size=30).map(b"".join),
)


def signed(raw, keys=None, form=None, at=AT):
    fields = sign(Mail.of_chunks([raw]), keys or both_keys(), at, form or Form())
    return b"".join(fields) + raw


def judged(raw, records=None, at=AT):
    return verify(Mail.of_entity(parse(raw).root), records or Records(*both_keys()), at)


def only(raw, records=None, at=AT):
    (verdict,) = judged(raw, records, at)
    return verdict.result, verdict.cause


def good(raw):
    return all(one.result is Result.PASS for one in judged(raw))


@settings(max_examples=60)
@given(BODIES, st.sampled_from(FORMS), st.integers(0, 200))
def test_what_is_signed_verifies_and_one_changed_octet_shows(body, form, place):
    raw = signed(HEADER + body, [both_keys()[1]], form)
    assert good(raw)
    start = len(raw) - len(body)
    if not body:
        return
    place = start + place % len(body)
    changed = raw[:place] + (b"y" if raw[place : place + 1] != b"y" else b"z") + raw[place + 1 :]
    assert only(changed) == (Result.FAIL, Cause.BODY)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_every_form_with_both_kinds_of_key(form):
    raw = signed(MAIL, form=form)
    assert [(one.result, one.selector) for one in judged(raw)] == [(Result.PASS, "r"), (Result.PASS, "e")]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_white_space_counts_only_in_simple_form(form):
    raw = signed(MAIL, [both_keys()[1]], form)
    folded = raw.replace(b"Subject: =?", b"Subject:\r\n  =?")
    assert (only(folded)[0] is Result.PASS) is (form.header is Canon.RELAXED)
    spaced = raw.replace(b"all is well. \r\n", b"all  is well.\r\n")
    assert (only(spaced)[0] is Result.PASS) is (form.body is Canon.RELAXED)


@pytest.mark.parametrize("name", ["From", "Subject", "To", "Cc", "Reply-To", "Content-Type", "Date", "Message-ID"])
def test_nobody_can_add_a_field_that_readers_show(name):
    raw = signed(MAIL, [both_keys()[1]])
    for place in (b"DKIM-Signature:", b"From: Anna"):
        more = raw.replace(place, name.encode() + b": evil@example.org\r\n" + place, 1)
        assert more != raw
        assert only(more)[0] is not Result.PASS
    assert only(raw.replace(b"From: Anna", b"Received: x\r\nX-More: y\r\nFrom: Anna", 1))[0] is Result.PASS


def test_fields_are_taken_from_the_bottom_up():
    raw = HEADER.replace(b"To: Bob", b"References: <1@a>\r\nReferences: <2@a>\r\nTo: Bob") + b"x\r\n"
    whole = signed(raw, [both_keys()[1]])
    assert good(whole)
    turned = whole.replace(b"References: <1@a>\r\nReferences: <2@a>", b"References: <2@a>\r\nReferences: <1@a>")
    assert only(turned) == (Result.FAIL, Cause.HEADER)


def test_a_mail_in_chunks_is_the_same_mail():
    chunks = [MAIL[:10], memoryview(MAIL)[10:250], MAIL[250:]]
    for cut in (1, 3, len(HEADER) - 3, len(HEADER) - 1, len(HEADER)):
        assert good(b"".join(sign(Mail.of_chunks([MAIL[:cut], MAIL[cut:]]), both_keys(), AT)) + MAIL)
    assert good(b"".join(sign(Mail.of_chunks(chunks), both_keys(), AT)) + MAIL)


@pytest.mark.parametrize("raw", [HEADER, HEADER[:-2], b"From: a@example.com\r\n\r\n", b"From: a@example.com\r\n"])
def test_mail_without_a_body(raw):
    assert good(signed(raw))


def test_the_field_is_well_formed():
    for field in sign(Mail.of_chunks([MAIL]), both_keys(), AT, Form(valid=timedelta(days=5))):
        assert field.endswith(b"\r\n")
        lines = field.split(b"\r\n")[:-1]
        assert all(len(line) <= 78 for line in lines)
        assert all(line.startswith(b"\t") for line in lines[1:])
        assert f"t={int(AT.timestamp())}; x={int(AT.timestamp()) + 5 * 86400};".encode() in field
        names = re.search(rb"h=([^;]*);", field)[1].split(b":")
        assert [name.strip() for name in names].count(b"From") == 2


@pytest.mark.parametrize("raw", [
    b"Subject: no From\r\n\r\nx",
    b"From: a@example.com\r\nFrom: b@example.com\r\n\r\nx",
    b"X-Other: x\rFrom: b@example.com\r\nFrom: a@example.com\r\n\r\nx",
    b"From: a@example.com\r\r FROM :b@example.com\r\n\r\nx",
    b"From: a@example.com\r\n" + b"References: x\r\n" * 51 + b"\r\nx",
])  # fmt: skip
def test_what_no_verifier_would_accept_is_not_signed(raw):
    with pytest.raises(SigningError):
        sign(Mail.of_chunks([raw]), both_keys(), AT)


def test_keys_that_never_sign():
    for key in (ec_key(), rsa_key(1024)):
        with pytest.raises(KeyUnusableError):
            sign(Mail.of_chunks([MAIL]), [DkimKey("example.com", "s", key)], AT)


def test_a_header_without_end_is_not_signed():
    with pytest.raises(HeaderTooLargeError):
        Mail.of_chunks([b"From: a@example.com\r\nX: " + b"x" * (2 << 20)])


def changed_record(old, new):
    records = Records(*both_keys())
    for name, texts in records.texts.items():
        records.texts[name] = [texts[0].replace(old, new)]
    return records


def test_a_key_that_is_not_there_is_no_key():
    raw = signed(MAIL, [both_keys()[0]])
    assert only(raw, Records()) == (Result.PERMERROR, Cause.KEY)
    for texts in (["v=spf1 -all"], ["v=DKIM1; p="], ["v=DKIM2; p=x"], ["k=rsa; v=DKIM1; p=x"], ["p=!"], ["p=QUJD"],
                  ["v=DKIM1; k=dsa; p=QUJD"], ["v=DKIM1; p=QUJD; p=QUJD"]):  # fmt: skip
        records = Records()
        records.texts["r._domainkey.example.com"] = texts
        assert only(raw, records) == (Result.PERMERROR, Cause.KEY), texts
    records = Records(*both_keys())
    records.texts["r._domainkey.example.com"] *= 2
    assert only(raw, records) == (Result.PERMERROR, Cause.KEY)
    records.texts["r._domainkey.example.com"][1] = "unrelated"
    assert only(raw, records)[0] is Result.PASS


def test_a_revoked_key_says_so():
    records = Records()
    records.texts["r._domainkey.example.com"] = ["v=DKIM1; p="]
    (verdict,) = judged(signed(MAIL, [both_keys()[0]]), records)
    assert verdict.detail == "the key is revoked"


def test_a_name_server_that_cannot_say():
    records = Records(*both_keys())
    records.broken.add("r._domainkey.example.com")
    assert [one.result for one in judged(signed(MAIL), records)] == [Result.TEMPERROR, Result.PASS]


@pytest.mark.parametrize(("old", "new", "expected"), [
    ("k=rsa;", "", Result.PASS),
    ("k=rsa;", "k=rsa; h=sha1 : sha256;", Result.PASS),
    ("k=rsa;", "k=rsa; h=sha1;", Result.PERMERROR),
    ("k=rsa;", "k=rsa; s=*;", Result.PASS),
    ("k=rsa;", "k=rsa; s=other:email;", Result.PASS),
    ("k=rsa;", "k=rsa; s=tlsrpt;", Result.PERMERROR),
    ("k=rsa;", "k=rsa; t=s;", Result.PASS),
    ("k=rsa;", "k=rsa; n=a note; unknown=tag;", Result.PASS),
    ("v=DKIM1; ", "", Result.PASS),
    ("k=rsa;", "k=ed25519;", Result.PERMERROR),
])  # fmt: skip
def test_what_a_record_allows(old, new, expected):
    assert only(signed(MAIL, [both_keys()[0]]), changed_record(old, new))[0] is expected


def test_a_bare_rsa_public_key_and_one_in_testing():
    bare = rsa_key().public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    records = Records()
    records.texts["r._domainkey.example.com"] = [f"v=DKIM1; t=y; p={base64.b64encode(bare).decode()}"]
    (verdict,) = judged(signed(MAIL, [both_keys()[0]]), records)
    assert verdict.result is Result.PASS
    assert verdict.testing


def test_weak_keys_are_not_believed():
    weak = rsa_key(1024)
    raw = signed(MAIL, [both_keys()[0]])
    records = Records()
    records.texts["r._domainkey.example.com"] = [f"p={base64.b64encode(public_octets(weak)).decode()}"]
    assert only(raw, records) == (Result.FAIL, Cause.HEADER)  # 1024 bits: the least that is looked at
    numbers = weak.public_key().public_numbers()
    for modulus, exponent in ((numbers.n >> 8 | 1, 65537), (numbers.n, (1 << 70) + 1)):
        key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
        der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        records.texts["r._domainkey.example.com"] = [f"p={base64.b64encode(der).decode()}"]
        assert only(raw, records) == (Result.PERMERROR, Cause.KEY)


def rewritten(old, new, raw=None):
    """A signature whose own field says something else, made by signing that."""
    raw = raw or MAIL
    mail = Mail.of_chunks([raw])
    key = both_keys()[1]
    field = sign(mail, [key], AT)[0]
    unsigned = re.sub(rb"b=[^;]*\Z", b"b=", field.replace(old, new))
    lower = [name.strip().lower() for name in re.search(rb"h=([^;]*);", unsigned)[1].decode().split(":")]
    octets = mail.signed_fields(lower, Canon.RELAXED) + header_field(unsigned, Canon.RELAXED).removesuffix(b"\r\n")
    return with_value(unsigned, sign_octets(octets, key.key)) + raw


@pytest.mark.parametrize(("old", "new", "expected"), [
    (b"v=1;", b"v=1; i=@example.com;", (Result.PASS, Cause.GOOD)),
    (b"v=1;", b"v=1; i=anna@sub.EXAMPLE.com;", (Result.PASS, Cause.GOOD)),
    (b"v=1;", b"v=1; i=@example.org;", (Result.NEUTRAL, Cause.SYNTAX)),
    (b"v=1;", b"v=1; i=@evilexample.com;", (Result.NEUTRAL, Cause.SYNTAX)),
    (b"v=1;", b"v=1; i=anna;", (Result.NEUTRAL, Cause.SYNTAX)),
    (b"v=1;", b"v=1; q=dns/txt;", (Result.PASS, Cause.GOOD)),
    (b"v=1;", b"v=1; q=http/x:dns/txt;", (Result.PASS, Cause.GOOD)),
    (b"v=1;", b"v=1; q=http/x;", (Result.PERMERROR, Cause.QUERY)),
    (b"v=1;", b"v=1; unknown=x; z=From:x|Subject:b=20x;", (Result.PASS, Cause.GOOD)),
    (b"v=1;", b"v=2;", (Result.NEUTRAL, Cause.SYNTAX)),
    (b"v=1;", b"", (Result.NEUTRAL, Cause.SYNTAX)),
    (b"v=1;", b"v=1; v=1;", (Result.NEUTRAL, Cause.SYNTAX)),
    (b"a=ed25519-sha256", b"a=rsa-sha1", (Result.PERMERROR, Cause.ALGORITHM)),
    (b"a=ed25519-sha256", b"a=rsa-sha256", (Result.PERMERROR, Cause.KEY_USE)),
    (b"c=relaxed/relaxed", b"c=relaxed/nofws", (Result.NEUTRAL, Cause.SYNTAX)),
    (b"d=example.com", b"d=[192.0.2.1]", (Result.NEUTRAL, Cause.SYNTAX)),
    (b"d=example.com", b"d=a..com", (Result.NEUTRAL, Cause.SYNTAX)),
    (b"s=e;", b"s=;", (Result.NEUTRAL, Cause.SYNTAX)),
    (b"h=From:From:", b"h=", (Result.NEUTRAL, Cause.SYNTAX)),
    (b"h=From:", b"h=From::", (Result.NEUTRAL, Cause.SYNTAX)),
    (b"t=1893456000", b"t=1893463201", (Result.POLICY, Cause.TIME)),
    (b"t=1893456000", b"t=1893456000; x=1893455000", (Result.NEUTRAL, Cause.SYNTAX)),
    (b"t=1893456000", b"t=1893450000; x=1893455000", (Result.POLICY, Cause.TIME)),
    (b"t=1893456000", b"t=x", (Result.NEUTRAL, Cause.SYNTAX)),
    (b"v=1;", b"v=1; l=5;", (Result.POLICY, Cause.PARTIAL)),
    (b"bh=", b"bh=!", (Result.NEUTRAL, Cause.SYNTAX)),
])  # fmt: skip
def test_what_a_signature_says(old, new, expected):
    assert only(rewritten(old, new)) == expected


def test_a_strict_key_is_for_the_domain_itself():
    raw = rewritten(b"v=1;", b"v=1; i=@sub.example.com;")
    records = Records(*both_keys())
    records.texts["e._domainkey.example.com"][0] += "; t=y:s"
    assert only(raw, records) == (Result.PERMERROR, Cause.KEY_USE)


def test_a_signed_beginning_is_no_signed_body():
    part, _ = Mail.of_chunks([HEADER + b"Hello\r\n"]).body_hash(Canon.RELAXED)
    digest = base64.b64encode(part)
    mail = HEADER + b"Hello\r\nand what somebody has appended\r\n"
    other, _ = Mail.of_chunks([mail]).body_hash(Canon.RELAXED)
    raw = rewritten(b"bh=" + base64.b64encode(other), b"l=7; bh=" + digest, mail)
    assert only(raw) == (Result.POLICY, Cause.PARTIAL)
    exact = HEADER + b"Hello\r\n"
    assert only(rewritten(b"bh=", b"l=7; bh=", exact))[0] is Result.PASS
    assert only(rewritten(b"bh=", b"l=8; bh=", exact)) == (Result.POLICY, Cause.BEYOND)


def test_a_body_is_hashed_once_for_all_signatures_that_cover_some_of_it():
    """50 MB of spaces take seconds; eight signatures with eight lengths would take that eight times."""

    class Body(list):
        read = 0

        def __iter__(self):
            self.read += 1
            return super().__iter__()

    fields = [
        rewritten(b"v=1;", f"v=1; l={number};".encode(), MAIL).removesuffix(MAIL) for number in range(MAX_SIGNATURES)
    ]
    whole = Mail.of_entity(parse(b"".join(fields) + MAIL).root)
    body = Body(whole.body)
    found = verify(Mail(whole.fields, body), Records(*both_keys()), AT)
    assert {one.cause for one in found} == {Cause.PARTIAL}
    assert body.read == 1


def test_two_authors_are_not_signed_by_anybody():
    raw = rewritten(b"h=From:From:", b"h=From:", MAIL)
    assert only(raw)[0] is Result.PASS
    assert only(b"X-Other: x\r\n\tFrom:To:From\r\nX-Other: x\rFrom x: y\r\n" + raw)[0] is Result.PASS
    for field in (b"From: evil@example.org\r\n", b"X-Other: x\rFrom: evil@example.org\r\n", b"X:\r \rFROM :e@a.b\r\n"):
        assert only(raw.replace(b"From: Anna", field + b"From: Anna", 1)) == (Result.POLICY, Cause.AUTHORS)


def test_only_so_many_signatures_are_looked_at():
    raw = signed(MAIL, [both_keys()[1]])
    field = raw[: len(raw) - len(MAIL)]
    records = Records(*both_keys())
    found = judged(field * (MAX_SIGNATURES + 3) + MAIL, records)
    assert len(found) == MAX_SIGNATURES + 1
    assert found[-1].cause is Cause.TOO_MANY
    assert len(records.asked) == MAX_SIGNATURES


def test_no_signature_no_verdict():
    assert judged(MAIL) == ()


@given(st.binary(max_size=200))
def test_any_field_gets_a_verdict(octets):
    raw = b"DKIM-Signature: " + octets.replace(b"\0", b"").replace(b"\r", b"").replace(b"\n", b"") + b"\r\n" + MAIL
    (verdict,) = judged(raw)
    assert verdict.result is not Result.PASS


def test_international_names():
    domain = "xn--bcher-kva.example"
    key = DkimKey(domain, "s", ed25519_key())
    raw = signed(MAIL, [key])
    assert f"d={domain}".encode() in raw
    (verdict,) = judged(raw, Records(key))
    assert verdict.result is Result.PASS
    assert record_text(ed25519_key()).startswith("v=DKIM1; k=ed25519; p=")
