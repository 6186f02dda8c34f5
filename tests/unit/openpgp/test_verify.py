"""Signatures over data: good ones, and each way in which one is not, told by its own reason."""

from datetime import datetime, timedelta

import pytest

import pgp_craft as craft
from mailseal.openpgp.algorithms import HashId
from mailseal.openpgp.certificate import read_certificate
from mailseal.openpgp.component import KeyFlags
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.packet import Tag, write_packet
from mailseal.openpgp.sign import sign_document
from mailseal.openpgp.signature import SignatureType, over_document
from mailseal.openpgp.subpackets import Kind, fingerprint_body, seconds, write_subpacket
from mailseal.openpgp.verify import MAX_CANDIDATES, MAX_SIGNATURES, TOLERANCE, check_signatures, split_signatures
from mailseal.policy.reason import ReasonCode
from pgp_craft import CERTIFY_SIGN, ENCRYPT, MADE, PRIMARY
from pki import DAY, NOW

CONTENT = b"Dear Berta,\r\nthis is it.\r\n"
TEXT = "Anna <anna@example.com>"
OWNER, SIGNING, ENCRYPTION, STRANGER = craft.key(), craft.key(), craft.key("cv25519"), craft.key()
NAMED = craft.user_id(OWNER, TEXT)
SUBKEY = craft.subkey(OWNER, SIGNING, KeyFlags.SIGN)
LIVING = MADE + 10 * DAY
EXPIRED = ReasonCode.SIGNER_KEY_EXPIRED
REVOKED = ReasonCode.SIGNER_KEY_REVOKED
UNFIT = ReasonCode.SIGNER_KEY_UNFIT
NOT_YET = ReasonCode.SIGNER_KEY_NOT_YET_VALID
INVALID = ReasonCode.SIGNATURE_INVALID


def certificate(*packets, primary=OWNER):
    return read_certificate(craft.certificate(primary, *packets))


GOOD = certificate(NAMED, SUBKEY, craft.subkey(OWNER, ENCRYPTION, ENCRYPT))


def finder(*certificates):
    return lambda issuer: [one for one in certificates if one.component(issuer) is not None]


def signature(by=OWNER, *says, at=NOW, kind=SignatureType.BINARY, content=CONTENT, **more):
    return craft.body(craft.signature(by, kind, over_document(kind, content), *says, at=at, **more))


def check(octets, *certificates, content=CONTENT, at=NOW):
    (found,) = check_signatures(content, [octets], finder(*certificates or (GOOD,)), at)
    return found


def told(found):
    return found.verified, found.reason


@pytest.mark.parametrize("kind", ["ed25519", "ed25519-native", "ed448", "p256", "p384", "p521", "bp256", "rsa2048"])
def test_a_good_one(kind):
    owner = craft.key(kind)
    one = certificate(craft.user_id(owner, TEXT), primary=owner)
    packet = sign_document(owner.private, owner.public, CONTENT, at=NOW, signers_user_id=TEXT)
    (body,) = split_signatures(packet)
    found = check(body, one)
    assert told(found) == (True, None)
    assert (found.issuer, found.certificate, found.component) == (owner.fingerprint, one, one.primary)
    assert (found.created, found.algorithm, found.signers_user_id) == (NOW, owner.public.name, TEXT)
    assert found.digest in {"sha256", "sha384", "sha512"}
    assert told(check(body, one, content=CONTENT + b" ")) == (False, INVALID)


@pytest.mark.parametrize("version", [4, 6])
def test_by_a_subkey(version):
    owner, signing = craft.key(version=version), craft.key(version=version)
    bound = craft.direct(owner, craft.flags(CERTIFY_SIGN)) + craft.user_id(owner, TEXT)
    one = certificate(bound, craft.subkey(owner, signing, KeyFlags.SIGN), primary=owner)
    found = check(signature(signing), one)
    assert told(found) == (True, None)
    assert (found.certificate, found.component) == (one, one.subkeys[0])


def test_text_with_other_line_ends():
    octets = signature(kind=SignatureType.TEXT)
    assert told(check(octets, content=CONTENT.replace(b"\r\n", b"\n"))) == (True, None)
    assert told(check(signature(), content=CONTENT.replace(b"\r\n", b"\n"))) == (False, INVALID)


def test_several_are_each_their_own():
    one, two = signature(), signature(STRANGER)
    bad = signature(content=b"other")
    packets = b"".join(write_packet(Tag.SIGNATURE, octets) for octets in (bad, two, one))
    found = check_signatures(CONTENT, split_signatures(packets), finder(GOOD), NOW)
    assert [told(each) for each in found] == [(False, INVALID), (False, ReasonCode.SIGNER_KEY_UNKNOWN), (True, None)]
    assert [each.issuer for each in found] == [OWNER.fingerprint, STRANGER.fingerprint, OWNER.fingerprint]


def test_an_unknown_key():
    found = check(signature(STRANGER))
    assert told(found) == (False, ReasonCode.SIGNER_KEY_UNKNOWN)
    assert (found.certificate, found.algorithm, found.digest, found.created) == (None, "ed25519", "sha256", NOW)


def of_a_signature(*says, at=NOW, **more):
    return signature(OWNER, *says, at=at, **more)


LAPSED = write_subpacket(Kind.EXPIRES, seconds(3600))
LASTING = write_subpacket(Kind.EXPIRES, seconds(50 * 365 * 86_400))
CRITICAL = write_subpacket(Kind.NOTATION, bytes(8), critical=True)


@pytest.mark.parametrize(
    ("octets", "verified", "reason"),
    [
        (of_a_signature(LAPSED, at=NOW - timedelta(hours=1)), True, ReasonCode.SIGNATURE_EXPIRED),
        (of_a_signature(LASTING, at=NOW - timedelta(hours=1)), True, None),
        (of_a_signature(at=NOW + TOLERANCE), True, None),
        (of_a_signature(at=NOW + TOLERANCE + timedelta(seconds=1)), True, INVALID),
        (of_a_signature(digest=HashId.SHA1), True, ReasonCode.SIGNATURE_WEAK),
        (of_a_signature(digest=HashId.MD5), True, ReasonCode.SIGNATURE_WEAK),
        (of_a_signature(CRITICAL), True, INVALID),
        (of_a_signature(kind=SignatureType.DIRECT_KEY), True, INVALID),
        (of_a_signature(at=MADE - DAY), True, NOT_YET),
        (b"", False, INVALID),
        (b"\x04\0", False, INVALID),
        (b"\x03" + bytes(30), False, ReasonCode.UNSUPPORTED_ALGORITHM),
    ],
)
def test_what_is_wrong_with_a_signature(octets, verified, reason):
    assert told(check(octets)) == (verified, reason)


def keys():
    """Packets of a certificate, and what is said of a signature of LIVING and one of NOW."""
    revoked = {code: craft.revoke(OWNER, craft.reason(code), at=NOW - 5 * DAY) for code in (0, 2, 3)}
    yield "sound", [NAMED], None, None
    yield "expires now", [craft.user_id(OWNER, TEXT, craft.flags(3), craft.expires(NOW - MADE))], EXPIRED, EXPIRED
    yield "renewed", [NAMED + craft.certify(OWNER, TEXT, craft.flags(3), at=NOW - DAY)], None, None
    yield "only renewed", [craft.user_id(OWNER, TEXT, craft.flags(3), at=NOW - DAY)], NOT_YET, None
    yield "retired", [revoked[3], NAMED], REVOKED, REVOKED
    yield "compromised", [revoked[2], NAMED], REVOKED, REVOKED
    yield "revoked without reason", [revoked[0], NAMED], REVOKED, REVOKED
    yield "revoked by a stranger", [craft.revoke(OWNER, by=STRANGER), NAMED], None, None
    yield "not for signing", [craft.user_id(OWNER, TEXT, craft.flags(1))], UNFIT, UNFIT
    yield "no flags", [craft.user_id(OWNER, TEXT, PRIMARY)], UNFIT, UNFIT
    yield "unbound", [], UNFIT, UNFIT


KEYS = list(keys())


@pytest.mark.parametrize(("packets", "then", "now"), [one[1:] for one in KEYS], ids=[one[0] for one in KEYS])
def test_what_is_wrong_with_the_key(packets, then, now):
    one = certificate(*packets)
    for at, reason in ((LIVING, then), (NOW, now)):
        assert told(check(signature(at=at), one)) == (True, reason)
        assert told(check(signature(at=at, content=b"other"), one)) == (False, INVALID)


def test_between_two_lives():
    """Expired when it signed, and extended since."""
    first = craft.user_id(OWNER, TEXT, craft.flags(3), craft.expires(20 * DAY))
    one = certificate(first + craft.certify(OWNER, TEXT, craft.flags(3), at=NOW - 5 * DAY))
    assert told(check(signature(at=MADE + 30 * DAY), one)) == (True, EXPIRED)
    assert told(check(signature(at=MADE + 10 * DAY), one)) == (True, None)


def subkeys():
    yield "no binding", craft.subkey_packet(SIGNING), ReasonCode.SIGNER_KEY_UNKNOWN
    yield "no back signature", craft.subkey(OWNER, SIGNING, KeyFlags.SIGN, back=None), ReasonCode.SIGNER_KEY_UNKNOWN
    yield "not for signing", craft.subkey(OWNER, SIGNING, KeyFlags.AUTHENTICATE), UNFIT
    yield "expired", craft.subkey(OWNER, SIGNING, KeyFlags.SIGN, craft.expires(20 * DAY)), EXPIRED
    yield "revoked", SUBKEY + craft.revoke_subkey(OWNER, SIGNING, craft.reason(3), at=NOW - DAY), REVOKED
    yield "weak", craft.subkey(OWNER, SIGNING, KeyFlags.SIGN, digest=HashId.SHA1), UNFIT
    yield "of old RSA", None, UNFIT


SUBKEYS = list(subkeys())


@pytest.mark.parametrize(("packets", "reason"), [one[1:] for one in SUBKEYS], ids=[one[0] for one in SUBKEYS])
def test_what_is_wrong_with_the_subkey(packets, reason):
    by = SIGNING
    if packets is None:
        by = craft.key("rsa1024")
        packets = craft.subkey(OWNER, by, KeyFlags.SIGN)
    found = check(signature(by), certificate(NAMED, packets))
    assert found.reason is reason
    assert found.verified is (reason is not ReasonCode.SIGNER_KEY_UNKNOWN)


def test_a_subkey_of_two_certificates():
    """Nobody claims another's key, for it has not signed back; and the right one is found among several."""
    claimed = craft.subkey(STRANGER, SIGNING, KeyFlags.SIGN, back=craft.back_signature(OWNER, SIGNING))
    thief = certificate(craft.user_id(STRANGER, TEXT), claimed, primary=STRANGER)
    assert thief.component(SIGNING.fingerprint) is None
    late = craft.subkey(STRANGER, SIGNING, KeyFlags.SIGN, craft.expires(DAY))
    other = certificate(craft.user_id(STRANGER, TEXT), late, primary=STRANGER)
    both = certificate(NAMED, SUBKEY)
    for order in ((both, other), (other, both)):
        found = check(signature(SIGNING), *order)
        assert (told(found), found.certificate) == ((True, None), both)


def test_only_some_candidates_are_tried():
    late = craft.user_id(OWNER, TEXT, craft.flags(3), craft.expires(DAY))
    bad = certificate(late)
    for count, reason in ((MAX_CANDIDATES - 1, None), (MAX_CANDIDATES, EXPIRED)):
        assert told(check(signature(), *[bad] * count, GOOD)) == (True, reason)


def test_what_sequoia_does_not_have_is_judged_all_the_same():
    owner = craft.key("bp256")
    for says, reason in (((craft.flags(1),), UNFIT), ((craft.flags(3), craft.expires(DAY)), EXPIRED)):
        one = certificate(craft.user_id(owner, TEXT, *says), primary=owner)
        assert told(check(signature(owner), one)) == (True, reason)


def test_by_key_id_alone():
    """As old programs write it."""
    found = check(signature(old=True))
    assert (found.issuer, told(found), found.certificate) == (OWNER.public.key_id, (True, None), GOOD)


def test_for_whom_it_is_meant():
    meant = write_subpacket(Kind.RECIPIENT, fingerprint_body(STRANGER.fingerprint))
    assert check(signature(OWNER, meant)).recipients == (STRANGER.fingerprint,)


def test_too_many():
    packets = write_packet(Tag.SIGNATURE, signature()) * (MAX_SIGNATURES + 1)
    for call in (
        lambda: split_signatures(packets),
        lambda: check_signatures(CONTENT, [signature()] * (MAX_SIGNATURES + 1), finder(GOOD), NOW),
    ):
        with pytest.raises(PgpError) as caught:
            call()
        assert caught.value.reason is ReasonCode.TOO_MANY_SIGNERS


@pytest.mark.parametrize("octets", [b"", b"x", write_packet(Tag.LITERAL, b"b\0\0\0\0\0"), b"\xc2\xff\0\0\0\xff"])
def test_what_is_no_signature(octets):
    with pytest.raises(PgpError):
        split_signatures(octets)


def test_markers_and_padding_are_passed_over():
    packet = write_packet(Tag.SIGNATURE, signature())
    padded = write_packet(Tag.MARKER, b"PGP") + packet + write_packet(Tag.PADDING, bytes(9))
    assert split_signatures(padded) == (craft.body(packet),)


def test_it_goes_by_the_given_time():
    """But Sequoia goes by the clock, so what is past for it is never good."""
    one = certificate(craft.user_id(OWNER, TEXT, craft.flags(3), craft.expires(50 * DAY)))
    assert told(check(signature(at=LIVING), one, at=LIVING)) == (True, None)
    assert told(check(signature(at=LIVING), one, at=NOW)) == (True, EXPIRED)
    far = datetime.now(NOW.tzinfo) + 100 * DAY
    assert told(check(signature(at=far), one, at=far)) == (True, EXPIRED)
    assert told(check(signature(at=far), GOOD, at=far)) == (True, UNFIT)
