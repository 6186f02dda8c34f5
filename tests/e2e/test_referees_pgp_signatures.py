"""`gpg` 2.2 as referee of OpenPGP signatures: what one signs the other verifies, but for named limits."""

from collections.abc import Iterator
from datetime import datetime
from itertools import product

import pytest

import pgp_craft as craft
from harness import gpg as referee
from harness.gpg import Gpg
from harness.pgp_people import BODY, KINDS, TEXT, new_person, person
from harness.referees import Limit, RefusedError, changed, table
from mailseal.openpgp import armor
from mailseal.openpgp.algorithms import HASHES, HashId
from mailseal.openpgp.certificate import read_certificate
from mailseal.openpgp.inner import read_inner, write_literal, write_signed
from mailseal.openpgp.sign import sign_document
from mailseal.openpgp.signature import SignatureType, over_document
from mailseal.openpgp.subpackets import Kind, seconds, write_subpacket
from mailseal.openpgp.verify import check_signatures, split_signatures
from mailseal.policy.reason import ReasonCode
from pki import DAY, NOW

DIGESTS = (HashId.SHA256, HashId.SHA384, HashId.SHA512)
CURVE_BITS = {"p256": 256, "bp256": 256, "p384": 384, "bp384": 384, "p521": 512, "bp512": 512}
IT_DIGESTS = {"SHA1": 160, "RIPEMD160": 160, "SHA224": 224, "SHA256": 256, "SHA384": 384, "SHA512": 512}

WE_SIGN = table([*product(KINDS, (one.name for one in DIGESTS))])
IT_SIGNS = table(
    [*product(KINDS, IT_DIGESTS)],
    [
        Limit(
            "its agent wants digests as long as the curve",
            "Invalid length",
            lambda row: IT_DIGESTS[row.how] < CURVE_BITS.get(row.key, 0),
        ),
    ],
)
WEAK = {"SHA1": ReasonCode.SIGNATURE_WEAK, "RIPEMD160": ReasonCode.UNSUPPORTED_ALGORITHM}


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    if reason := referee.why_not():
        pytest.skip(reason)
    with Gpg() as made:
        made.run("--import", given=b"".join(person(kind).secret for kind in KINDS))
        yield made


def signed(kind: str, content: bytes = BODY, **more) -> bytes:
    """A signature by a person, as a packet."""
    public, private = person(kind).keys[0]
    return sign_document(private, public, content, at=NOW, **more)


def check(content: bytes, octets: bytes, *kinds: str, at: datetime = NOW):
    """Each signature as we judge it, whoever signed knows us by these certificates."""
    known = [person(kind).certificate for kind in kinds]
    return check_signatures(
        content, split_signatures(octets), lambda issuer: [one for one in known if one.component(issuer)], at
    )


@pytest.mark.parametrize("row", WE_SIGN)
def test_gpg_verifies_what_we_sign(gpg, row):
    for text in (False, True):
        octets = signed(row.key, text=text, digest=HashId[row.how])
        assert gpg.verify(BODY, octets) == person(row.key).fingerprint
    # The ends of lines in a text do not matter, anything else does.
    assert gpg.verify(BODY.replace(b"\r\n", b"\n"), octets) == person(row.key).fingerprint
    with pytest.raises(RefusedError, match="BAD signature"):
        gpg.verify(changed(BODY, 60), octets)


@pytest.mark.parametrize("kind", KINDS)
def test_gpg_reads_the_texts_and_messages_that_we_sign(gpg, kind):
    content = armor.canonical_text(TEXT)
    signature = signed(kind, content, text=True)
    digest = split_signatures(signature)[0][3]
    found = gpg.read(b"".join(armor.write_cleartext(TEXT, signature, HASHES[digest].name.upper())))
    assert found.signers == [person(kind).fingerprint]
    assert armor.canonical_text(found.content.rstrip()) == content
    others = [one for one in ("ed25519", "rsa2048") if one != kind]
    message = write_signed(write_literal([BODY]), [signed(one) for one in (kind, *others)])
    found = gpg.read(b"".join(message))
    assert found.content == BODY
    assert sorted(found.signers) == sorted(person(one).fingerprint for one in (kind, *others))
    message[-1] = signed(others[-1], BODY + b"!")
    with pytest.raises(RefusedError, match="BAD signature"):
        gpg.read(b"".join(message))


@pytest.mark.parametrize("row", IT_SIGNS)
def test_we_verify_what_gpg_signs(gpg, row):
    words = ("--digest-algo", row.how, "--detach-sign")
    with row.expected:
        octets = gpg.sign(BODY, person(row.key).fingerprint, options=words)
    if row.limit:
        return
    (found,) = check(BODY, octets, row.key)
    reason = WEAK.get(row.how)
    assert found.reason is reason
    assert found.verified is (reason is not ReasonCode.UNSUPPORTED_ALGORITHM)
    if found.verified:
        assert (found.certificate, found.digest) == (person(row.key).certificate, row.how.lower())
    (found,) = check(changed(BODY), octets, row.key)
    assert not found.verified
    assert found.reason in (ReasonCode.SIGNATURE_INVALID, ReasonCode.UNSUPPORTED_ALGORITHM)


@pytest.mark.parametrize("kind", KINDS)
def test_we_read_the_texts_and_messages_that_gpg_signs(gpg, kind):
    who = person(kind).fingerprint
    text = armor.read_cleartext(gpg.sign(TEXT, who, options=("--clear-sign",)))
    (found,) = check(text.content, text.signatures, kind)
    assert (found.verified, found.reason) == (True, None)
    assert text.content == armor.canonical_text(TEXT)
    both = sorted({who, person("rsa3072").fingerprint})
    for options in (("--sign",), ("--sign", "--compress-algo", "bzip2"), ("--sign", "--textmode", "-z", "0")):
        inner = read_inner(gpg.sign(BODY, *both, options=options), len(BODY))
        content = inner.literal.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        assert content == BODY
        checks = check(inner.literal, b"".join(inner.signatures), kind, "rsa3072")
        assert [(one.verified, one.reason) for one in checks] == [(True, None)] * len(both)
        assert sorted(one.issuer for one in checks) == both


def test_text_mode_signatures(gpg):
    """Over text with whatever line ends: made by gpg over lines with LF, verified over lines with CRLF."""
    octets = gpg.sign(BODY.replace(b"\r\n", b"\n"), person("p256").fingerprint, options=("--textmode", "--detach-sign"))
    (found,) = check(BODY, octets, "p256")
    assert (found.verified, found.reason) == (True, None)


@pytest.mark.parametrize(
    ("what", "verdict", "reason"),
    [
        ("good", "GOODSIG", None),
        ("changed", "BADSIG", ReasonCode.SIGNATURE_INVALID),
        ("expired key", "EXPKEYSIG", ReasonCode.SIGNER_KEY_EXPIRED),
        ("revoked key", "REVKEYSIG", ReasonCode.SIGNER_KEY_REVOKED),
        ("expired", "EXPSIG", ReasonCode.SIGNATURE_EXPIRED),
        ("unknown key", "ERRSIG", ReasonCode.SIGNER_KEY_UNKNOWN),
    ],
)
def test_gpg_and_we_judge_alike(gpg, what, verdict, reason):
    made = new_person("ed25519", 4, *([craft.expires(95 * DAY)] if what == "expired key" else []))
    primary = craft.Key(*made.keys[0])
    octets = made.octets
    if what == "revoked key":
        start = len(craft.certificate(primary))
        octets = octets[:start] + craft.revoke(primary, craft.reason(3, "gone"), at=NOW - DAY) + octets[start:]
    if what != "unknown key":
        gpg.run("--import", given=octets)
    known = [] if what == "unknown key" else [read_certificate(octets)]
    says = (write_subpacket(Kind.EXPIRES, seconds(86_400)),) if what == "expired" else ()
    hashed = over_document(SignatureType.BINARY, BODY)
    packet = craft.signature(primary, SignatureType.BINARY, hashed, *says, at=NOW - 10 * DAY)
    content = changed(BODY) if what == "changed" else BODY
    assert gpg.judged(content, packet) == verdict
    (found,) = check_signatures(content, split_signatures(packet), lambda _: known, NOW)
    assert found.reason is reason
    assert found.verified is (what not in ("changed", "unknown key"))
