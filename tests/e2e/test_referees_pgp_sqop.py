"""`sqop` of Debian 12 (Sequoia 1) as referee of OpenPGP, but for named limits."""

from datetime import UTC, datetime
from itertools import product

import pytest

from harness import gpg as referees
from harness.pgp_people import BODY, BRAINPOOL, KINDS, NIST, RSA, TEXT, decrypting, person
from harness.referees import Limit, RefusedError, changed, table
from harness.sqop import Sqop, sqop
from mailseal.openpgp import armor
from mailseal.openpgp.algorithms import HASHES, CipherId, CompressionId, HashId
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.form import EncryptionForm, Reader
from mailseal.openpgp.inner import read_inner, write_literal, write_signed
from mailseal.openpgp.message import encrypt_message, read_encrypted
from mailseal.openpgp.sign import sign_document
from mailseal.openpgp.verify import check_signatures, split_signatures
from mailseal.policy.reason import ReasonCode
from pki import NOW

LARGE = b"".join(b"%07d Gr\xc3\xbc\xc3\x9fe\r\n" % number for number in range(60_000))
GOOD = (*RSA, "ed25519", *NIST)
DIGESTS = (HashId.SHA256, HashId.SHA384, HashId.SHA512)
CIPHERS = (CipherId.AES128, CipherId.AES192, CipherId.AES256)
COMPRESSIONS = (CompressionId.UNCOMPRESSED, CompressionId.ZIP, CompressionId.ZLIB)
FORMS = {f"{one.name} {how.name}": EncryptionForm(None, one, how) for one, how in product(CIPHERS, COMPRESSIONS)}


def no_brainpool(says: str) -> Limit:
    return Limit("its library, Nettle, has no Brainpool curve", says, lambda row: row.key in BRAINPOOL)


WE_SIGN = table([*product(KINDS, (one.name for one in DIGESTS))], [no_brainpool("No acceptable signatures found")])
IT_SIGNS = table([*product(KINDS, ("binary", "text"))], [no_brainpool("Key not signing-capable")])
WE_ENCRYPT = table(
    [*product(KINDS, ["AES256 UNCOMPRESSED"]), *product([("rsa2048", "ed25519", "p256")], FORMS)],
    [no_brainpool("Unable to decrypt")],
)
IT_ENCRYPTS = table([*product(KINDS, [""])], [no_brainpool("Certificate not encryption-capable")])


@pytest.fixture(scope="module")
def referee(tmp_path_factory) -> Sqop:
    if reason := referees.why_not("sqop"):
        pytest.skip(reason)
    return Sqop(tmp_path_factory.mktemp("sqop"))


def signed(kind: str, content: bytes = BODY, **more) -> bytes:
    public, private = person(kind).keys[0]
    return sign_document(private, public, content, at=NOW, **more)


def check(content: bytes, octets: bytes, *kinds: str):
    """As of the clock of this referee: what it has just signed is not of a time to come."""
    known = [person(kind).certificate for kind in kinds]
    signatures, today = split_signatures(octets), datetime.now(UTC)
    found = check_signatures(content, signatures, lambda issuer: [one for one in known if one.component(issuer)], today)
    return [(one.verified, one.reason, one.certificate) for one in found]


def good(*kinds: str):
    return [(True, None, person(kind).certificate) for kind in kinds]


def encrypted(content: bytes, *kinds: str, form=None, hidden=False, by=(), passwords=()) -> bytes:
    literal = write_literal([content])
    packets = write_signed(literal, [signed(one, content) for one in by]) if by else literal
    readers = [Reader(decrypting(kind)[0], hidden=hidden) for kind in kinds]
    return b"".join(encrypt_message(packets, readers, form or EncryptionForm(), passwords))


def opened(octets: bytes, *kinds: str, passwords=()):
    keys = [decrypting(kind) for kind in kinds]
    return read_encrypted(octets).open(keys, passwords, max_bytes=len(LARGE))


# ---- signatures


@pytest.mark.parametrize("row", WE_SIGN)
def test_sqop_verifies_what_we_sign(referee, row):
    for text in (False, True):
        octets = signed(row.key, text=text, digest=HashId[row.how])
        with row.expected:
            assert referee.verify(BODY, octets, row.key) == [person(row.key).fingerprint]
    if row.how == "SHA256":
        with pytest.raises(RefusedError, match="No acceptable signatures found"):
            referee.verify(changed(BODY, 60), octets, row.key)


@pytest.mark.parametrize("kind", GOOD)
def test_sqop_reads_the_texts_and_messages_that_we_sign(referee, kind):
    signature = signed(kind, armor.canonical_text(TEXT), text=True)
    digest = HASHES[split_signatures(signature)[0][3]].name.upper()
    found = referee.inline_verify(b"".join(armor.write_cleartext(TEXT, signature, digest)), kind)
    assert armor.canonical_text(found.content.rstrip()) == armor.canonical_text(TEXT)
    assert found.signers == [person(kind).fingerprint]
    two = sorted({kind, "rsa3072"})
    found = referee.inline_verify(b"".join(write_signed(write_literal([BODY]), [signed(one) for one in two])), *two)
    assert found.content == BODY
    assert sorted(found.signers) == sorted(person(one).fingerprint for one in two)


@pytest.mark.parametrize("row", IT_SIGNS)
def test_we_verify_what_sqop_signs(referee, row):
    with row.expected:
        octets = referee.sign(BODY, row.key, text=row.how == "text")
    if row.limit:
        return
    assert check(BODY, octets, row.key) == good(row.key)
    assert check(changed(BODY, 60), octets, row.key)[0][:2] == (False, ReasonCode.SIGNATURE_INVALID)
    if row.how == "text":
        assert check(BODY.replace(b"\r\n", b"\n"), octets, row.key) == good(row.key)


@pytest.mark.parametrize("kind", GOOD)
def test_we_read_the_texts_and_messages_that_sqop_signs(referee, kind):
    without_trailing = armor.canonical_text(TEXT)
    text = armor.read_cleartext(referee.inline_sign(without_trailing, kind, form="clearsigned"))
    assert text.content == without_trailing
    assert check(text.content, text.signatures, kind) == good(kind)
    # It signs white space at the ends of lines, which nobody may (RFC 9580 §7.2): gpg calls that bad as well.
    text = armor.read_cleartext(referee.inline_sign(TEXT, kind, form="clearsigned"))
    assert check(text.content, text.signatures, kind)[0][:2] == (False, ReasonCode.SIGNATURE_INVALID)
    two = sorted({kind, "rsa3072"})
    octets = armor.read_armor(referee.inline_sign(BODY, *two, form="binary")).octets
    inner = read_inner(octets, len(BODY))
    assert inner.literal == BODY
    assert sorted(check(BODY, b"".join(inner.signatures), *two), key=str) == sorted(good(*two), key=str)


# ---- messages


@pytest.mark.parametrize("row", WE_ENCRYPT)
def test_sqop_opens_what_we_encrypt(referee, row):
    octets = encrypted(BODY, *row.keys, form=FORMS[row.how], by=["ed25519"])
    for kind in row.keys:
        with row.expected:
            found = referee.decrypt(octets, kind, by=["ed25519"])
            assert (found.content, found.signers) == (BODY, [person("ed25519").fingerprint])


def test_sqop_opens_other_messages_of_ours(referee):
    assert referee.decrypt(encrypted(LARGE, "p521", "rsa4096", hidden=True), "p521").content == LARGE
    octets = encrypted(BODY, passwords=("first", "zwölf"))
    for password in ("first", "zwölf"):
        assert referee.decrypt(octets, passwords=[password]).content == BODY
    assert referee.decrypt(encrypted(b"", "p256"), "p256").content == b""
    octets = encrypted(BODY, "p256")
    for given, kind, says in ((changed(octets), "p256", "has been manipulated"), (octets, "p384", "Unable to decrypt")):
        with pytest.raises(RefusedError, match=says):
            referee.decrypt(given, kind)


@pytest.mark.parametrize("row", IT_ENCRYPTS)
def test_we_open_what_sqop_encrypts(referee, row):
    by = ("rsa2048", "p384")
    with row.expected:
        octets = referee.encrypt(LARGE, row.key, "rsa3072", by=by)
    if row.limit:
        return
    for kind in (row.key, "rsa3072"):
        found = opened(octets, kind)
        assert found.inner.literal == LARGE
        assert sorted(check(LARGE, b"".join(found.inner.signatures), *by), key=str) == sorted(good(*by), key=str)
    with pytest.raises(PgpError) as raised:
        opened(changed(octets), row.key)
    assert raised.value.reason is ReasonCode.DECRYPTION_FAILED


def test_we_open_what_sqop_encrypts_by_passwords(referee):
    octets = referee.encrypt(BODY, "p256", passwords=["first", "zwölf"])
    assert opened(octets, "p256").inner.literal == BODY
    for password in ("first", "zwölf"):
        assert opened(octets, passwords=[password]).inner.literal == BODY


@pytest.mark.parametrize("kind", GOOD)
def test_sqop_unlocks_the_keys_that_we_lock(referee, kind):
    octets = encrypted(BODY, kind)
    secret = person(kind).locked("pässword")
    assert referee.locked(octets, secret, "pässword") == BODY
    with pytest.raises(RefusedError, match="protected with a password and unlocking failed"):
        referee.locked(octets, secret, "wrong")


def test_sqop_knows_nothing_of_version_6(referee):
    for command, octets in (("sign", person("ed25519", 6).secret), ("encrypt", person("ed25519", 6).octets)):
        with pytest.raises(RefusedError, match="Invalid data type"):
            sqop(command, referee.put("version-6", octets), given=BODY)
