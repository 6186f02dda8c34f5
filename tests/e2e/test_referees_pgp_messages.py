"""`gpg` 2.2 as referee of encrypted OpenPGP messages: what one encrypts the other opens, but for named limits."""

import io
from collections.abc import Iterator
from itertools import product

import pytest

import pgp_craft as craft
from harness import gpg as referee
from harness.gpg import Gpg
from harness.pgp_people import BODY, KINDS, decrypting, new_person, person
from harness.referees import Limit, RefusedError, changed, table
from mailseal.openpgp.algorithms import CipherId, CompressionId
from mailseal.openpgp.certificate import PgpTrust, StoredPgpCertificate, read_certificate
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.form import EncryptionForm, Reader
from mailseal.openpgp.importing import read_transferable
from mailseal.openpgp.inner import write_literal, write_signed
from mailseal.openpgp.message import Encrypted, Opened, encrypt_message, read_encrypted
from mailseal.openpgp.packet import Tag, read_packets
from mailseal.openpgp.ring import open_ring
from mailseal.openpgp.select import why_not_encrypt
from mailseal.openpgp.sign import sign_document
from mailseal.openpgp.verify import check_signatures, split_signatures
from mailseal.policy.reason import ReasonCode
from pki import DAY, NOW

LARGE = b"".join(b"%07d Gr\xc3\xbc\xc3\x9fe\r\n" % number for number in range(60_000))
"""A megabyte: many partial lengths, chunks and buffers."""
FEW = ("rsa2048", "ed25519", "p256")
CIPHERS = (CipherId.AES128, CipherId.AES192, CipherId.AES256)
COMPRESSIONS = (CompressionId.UNCOMPRESSED, CompressionId.ZIP, CompressionId.ZLIB)
IT_HAS = ("3DES", "CAST5", "BLOWFISH", "IDEA", "TWOFISH", "AES", "AES192", "AES256",
          "CAMELLIA128", "CAMELLIA192", "CAMELLIA256")  # fmt: skip
OURS = {"AES": "aes128", "TWOFISH": ""}
NO_TWOFISH = Limit("no library at hand has it", "", lambda row: row.how == "TWOFISH")

FORMS = {f"{one.name} {how.name}": EncryptionForm(None, one, how) for one, how in product(CIPHERS, COMPRESSIONS)}
WE_ENCRYPT = table([*product(KINDS, ["AES256 UNCOMPRESSED"]), *product([FEW], FORMS)])
IT_ENCRYPTS = table([*product([KINDS], IT_HAS)], [NO_TWOFISH])


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    if reason := referee.why_not():
        pytest.skip(reason)
    with Gpg() as made:
        made.run("--import", given=b"".join(person(kind).secret for kind in KINDS))
        yield made


def names(*kinds: str) -> list[str]:
    return [person(kind).fingerprint for kind in kinds]


def encrypted(content: bytes, *kinds: str, form=None, hidden=False, by=(), passwords=()) -> bytes:
    literal = write_literal([content])
    packets = write_signed(literal, [signature(content, one) for one in by]) if by else literal
    readers = [Reader(decrypting(kind)[0], hidden=hidden) for kind in kinds]
    return b"".join(encrypt_message(packets, readers, form or EncryptionForm(), passwords))


def signature(content: bytes, kind: str) -> bytes:
    public, private = person(kind).keys[0]
    return sign_document(private, public, content, at=NOW)


def opened(octets: bytes | Encrypted, *kinds: str, passwords=()) -> Opened:
    message = octets if isinstance(octets, Encrypted) else read_encrypted(octets)
    return message.open([decrypting(kind) for kind in kinds], passwords, max_bytes=len(LARGE))


def refused(octets: bytes, *kinds: str, passwords=()) -> ReasonCode:
    with pytest.raises(PgpError) as raised:
        opened(octets, *kinds, passwords=passwords)
    return raised.value.reason


@pytest.mark.parametrize("row", WE_ENCRYPT)
def test_gpg_opens_what_we_encrypt(gpg, row):
    octets = encrypted(BODY, *row.keys, form=FORMS[row.how])
    for kind in row.keys:
        # gpg takes the first key it has: it is given the session key of this reader alone.
        found = gpg.read(_only_for(octets, kind))
        assert found.content == BODY
        assert found.lines("GOODMDC") == [[]]
        assert found.lines("ENC_TO")[0][0].lower() == decrypting(kind)[0].key_id
        assert int(found.lines("DECRYPTION_INFO")[0][1]) == FORMS[row.how].cipher


def _only_for(octets: bytes, kind: str) -> bytes:
    key_id = decrypting(kind)[0].key_id
    packets = [(one.tag, octets[one.start : one.end]) for one in read_packets(octets)]
    return b"".join(piece for tag, piece in packets if tag != Tag.PKESK or bytes.fromhex(key_id) in piece)


@pytest.mark.parametrize("kind", FEW)
def test_gpg_opens_what_we_sign_and_encrypt(gpg, kind):
    for compression in COMPRESSIONS:
        form = EncryptionForm(compression=compression)
        found = gpg.read(encrypted(LARGE, kind, form=form, by=("rsa4096", "p521", "ed25519")))
        assert found.content == LARGE
        assert sorted(found.signers) == sorted(names("rsa4096", "p521", "ed25519"))


def test_gpg_opens_it_for_hidden_readers_and_by_passwords(gpg):
    octets = encrypted(BODY, "p384", "rsa3072", hidden=True)
    found = gpg.read(octets)
    assert (found.content, {words[0] for words in found.lines("ENC_TO")}) == (BODY, {"0" * 16})
    octets = encrypted(BODY, "p256", passwords=("zwölf", "thirteen"))
    without_key = b"".join(octets[one.start : one.end] for one in read_packets(octets) if one.tag != Tag.PKESK)
    assert gpg.read(without_key, password="zwölf").content == BODY
    # It asks for one password, and tries that at the first session key alone.
    for password in ("thirteen", "wrong"):
        with pytest.raises(RefusedError, match="Bad session key"):
            gpg.read(without_key, password=password)


def test_gpg_does_not_open_what_was_changed_or_is_for_others(gpg):
    octets = encrypted(BODY, "rsa2048")
    with pytest.raises(RefusedError, match="encrypted message has been manipulated"):
        gpg.read(changed(octets))
    stranger = new_person("ed25519").keys[-1][0]
    with pytest.raises(RefusedError, match="No secret key"):
        gpg.read(b"".join(encrypt_message(write_literal([BODY]), [Reader(stranger)], EncryptionForm())))


@pytest.mark.parametrize("row", IT_ENCRYPTS)
def test_we_open_what_gpg_encrypts(gpg, row):
    octets = gpg.encrypt(BODY, *names(*row.keys), options=("--cipher-algo", row.how))
    message = read_encrypted(octets)
    assert {one.key_id for one in message.recipients} == {decrypting(kind)[0].key_id for kind in row.keys}
    if row.limit:
        assert refused(octets, row.keys[0]) is ReasonCode.UNSUPPORTED_ALGORITHM
        return
    for kind in row.keys:
        found = opened(message, kind)
        assert found.inner.literal == BODY
        assert found.key == decrypting(kind)[0]
        assert found.algorithm == f"{OURS.get(row.how, row.how.lower())}-cfb"
        assert found.weak is not row.how.startswith("AES")
    assert refused(changed(octets), "rsa2048") is ReasonCode.DECRYPTION_FAILED


@pytest.mark.parametrize("compression", ["none", "zip", "zlib", "bzip2"])
@pytest.mark.parametrize("textmode", [False, True])
def test_we_open_what_gpg_signs_and_encrypts(gpg, compression, textmode):
    options = ("--compress-algo", compression, *["--textmode"] * textmode, "--sign")
    known = [person(one).certificate for one in ("rsa4096", "bp512", "ed25519")]
    by = [word for one in known for word in ("--local-user", one.fingerprint)]
    given = LARGE.replace(b"\r\n", b"\n") if textmode else LARGE
    octets = gpg.encrypt(given, *names(*FEW), options=(*options, *by))
    for kind in FEW:
        found = opened(octets, kind)
        # What --textmode signs and writes has CRLF, whatever it was given.
        assert found.inner.literal == LARGE
        signatures = split_signatures(b"".join(found.inner.signatures))
        checks = check_signatures(
            LARGE, signatures, lambda issuer: [one for one in known if one.component(issuer)], NOW
        )
        assert [(one.verified, one.reason) for one in checks] == [(True, None)] * 3


def test_we_open_it_for_hidden_readers(gpg):
    octets = gpg.encrypt(BODY, *names(*FEW), options=("--throw-keyids",))
    for kind in FEW:
        assert opened(octets, kind).inner.literal == BODY
    assert refused(octets, "p521") is ReasonCode.DECRYPTION_FAILED  # it could have been for that
    half = gpg.encrypt(BODY, *names("rsa2048"), options=("--hidden-recipient", names("p256")[0]))
    assert [one.hidden for one in read_encrypted(half).recipients] in ([True, False], [False, True])
    assert opened(half, "ed25519", "p256").inner.literal == BODY


@pytest.mark.parametrize("mode", ["0", "1", "3"])
def test_we_open_it_by_passwords(gpg, mode):
    options = ("--symmetric", "--s2k-mode", mode, "--s2k-digest-algo", "SHA512", "--s2k-count", "65536")
    octets = gpg.run(*options, given=BODY, password="zwölf")
    assert opened(octets, passwords=["wrong", "zwölf"]).inner.literal == BODY
    if mode == "0":
        with pytest.raises(RefusedError, match="you cannot use --symmetric --encrypt with --s2k-mode 0"):
            gpg.encrypt(BODY, *names("rsa2048"), options=options, password="zwölf")
        return
    both = gpg.encrypt(BODY, *names("rsa2048"), options=options, password="zwölf")
    assert opened(both, "rsa2048").inner.literal == BODY
    assert opened(both, passwords=["zwölf"]).inner.literal == BODY
    assert refused(both, passwords=["wrong"]) is ReasonCode.DECRYPTION_FAILED


def test_nothing_and_the_compressible(gpg):
    for content in (b"", b"\0" * 3_000_000):
        assert gpg.read(encrypted(content, "p256", form=EncryptionForm(compression=CompressionId.ZLIB))).content == (
            content
        )
    assert opened(gpg.encrypt(b"", *names("p256")), "p256").inner.literal == b""
    bomb = gpg.encrypt(b"\0" * 3_000_000, *names("p256"))
    assert len(bomb) < 10_000
    assert refused(bomb, "p256") is ReasonCode.TOO_LARGE


@pytest.fixture(scope="module")
def locked(gpg) -> Iterator[Gpg]:
    """Another home, to which we gave all keys under a password."""
    with Gpg() as made:
        made.run("--import", given=b"".join(person(kind).locked("pässword") for kind in KINDS))
        yield made


@pytest.mark.parametrize("kind", KINDS)
def test_locked_keys(locked, kind):
    """Locked by us they are unlocked by gpg, and the reverse; they open what they did before."""
    octets = encrypted(BODY, kind)
    with pytest.raises(RefusedError, match="Bad passphrase"):
        locked.read(octets, password="wrong")
    assert locked.read(octets, password="pässword").content == BODY
    out = locked.run("--export-secret-keys", names(kind)[0], password="pässword")
    (member,) = open_ring(io.BytesIO(out)).members
    found = read_transferable(member.octets, lambda: "pässword")
    assert [public for public, _ in found.keys] == [public for public, _ in person(kind).keys]
    assert read_encrypted(octets).open(found.keys[-1:], max_bytes=len(BODY)).inner.literal == BODY
    assert not read_transferable(member.octets, lambda: "wrong").keys


@pytest.mark.parametrize(
    ("what", "says", "reason"),
    [
        ("good", None, None),
        ("expired", "Unusable public key", ReasonCode.PGP_KEY_EXPIRED),
        ("expired subkey", "Unusable public key", ReasonCode.PGP_KEY_NO_ENCRYPTION_SUBKEY),
        ("revoked", "Unusable public key", ReasonCode.PGP_KEY_REVOKED),
        ("revoked subkey", "Unusable public key", ReasonCode.PGP_KEY_NO_ENCRYPTION_SUBKEY),
        ("unbound subkey", "Unusable public key", ReasonCode.PGP_KEY_NO_ENCRYPTION_SUBKEY),
    ],
)
def test_to_whom_neither_of_us_encrypts(gpg, what, says, reason):
    primary, subkey = craft.key(), craft.key("cv25519")
    expires = (craft.expires(95 * DAY),)
    binding = craft.subkey(primary, subkey, craft.ENCRYPT, *(expires if what == "expired subkey" else ()))
    if what == "unbound subkey":
        binding = craft.subkey_packet(subkey) + craft.bind(primary, subkey, craft.flags(craft.ENCRYPT), by=craft.key())
    flags = craft.flags(craft.CERTIFY_SIGN)
    octets = craft.certificate(
        primary,
        *([craft.revoke(primary, craft.reason(3), at=NOW - DAY)] if what == "revoked" else []),
        craft.user_id(primary, "x@example.org", flags, *(expires if what == "expired" else ())),
        binding,
        *([craft.revoke_subkey(primary, subkey, craft.reason(3), at=NOW - DAY)] if what == "revoked subkey" else []),
    )
    gpg.run("--import", given=octets)
    stored = StoredPgpCertificate(read_certificate(octets), PgpTrust.TRUSTED, selected=True)
    against = why_not_encrypt(stored, None, NOW)
    assert (against and against.code) is reason
    if says is None:
        gpg.encrypt(BODY, primary.fingerprint)
        return
    with pytest.raises(RefusedError, match=says):
        gpg.encrypt(BODY, primary.fingerprint)
