"""`mailseal message open` and `protect` with OpenPGP keys out of files; the JSON is that of docs/message.md."""

import json
import os
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mailseal.cli import cli
from mailseal.mail.mime import parse
from mailseal.methods.openpgp_write import Shape
from mailseal.openpgp import armor
from mailseal.openpgp.packet import read_packets
from pgp_keys import PgpIdentity
from pgp_mails import TEXT, armored, encrypted_mail, literal_message, made_signed, sealed, signed_mail, text
from stage import PGP_PARTNER, PGP_PARTNER_2, PGP_READER, lasting_key

HEAD = b"From: Bob <bob@outside.example>\r\nTo: dora@inside.example\r\nSubject: Hello\r\nMIME-Version: 1.0\r\n"


@cache
def locked(one: PgpIdentity, password: str) -> bytes:
    return one.locked(password)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    dora = b"".join(armor.write_armor(armor.PRIVATE_KEY, [locked(PGP_READER, "open sesame")]))
    for name, octets in {
        "dora.asc": dora,
        "dora.pgp": PGP_READER.secret,
        "bob.asc": b"".join(armor.write_armor(armor.PUBLIC_KEY, [PGP_PARTNER.octets])),
        "bob-secret": locked(PGP_PARTNER, "another one"),
        "dora-public": PGP_READER.octets,
        "paula": PGP_PARTNER_2.octets,
        "password": b"open sesame\n",
        "bobs-password": b"another one\n",
        "wrong": b"wrong\n",
        "mail": HEAD + encrypted_mail(TEXT, PGP_READER, by=PGP_PARTNER),
        "plain": HEAD + TEXT,
    }.items():
        (tmp_path / name).write_bytes(octets)
    os.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["message", *words])


def opened(*words: str) -> dict:
    done = run("open", *words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_mail_is_opened_with_a_locked_key(files):
    found = opened("mail", "--pgp-key", "dora.asc", "--password-file", "password", "--pgp-cert", "bob.asc")
    encrypted, signed = found["layers"]
    assert encrypted == {
        "kind": "pgp-encrypted", "depth": 0, "part": "", "ok": True, "reason": None, "algorithm": "aes256-cfb",
        "integrity": "authenticated", "recipients": [f"key {PGP_READER.keys[1][0].key_id}"], "signers": [],
    }  # fmt: skip
    (signer,) = signed.pop("signers")
    assert signed == {
        "kind": "pgp-signed", "depth": 1, "part": "", "ok": True, "reason": None, "algorithm": "ed25519 sha256",
        "integrity": None, "recipients": [],
    }  # fmt: skip
    assert signer == {
        "addresses": ["bob@outside.example"], "subject": "Bob <bob@outside.example>",
        "fingerprint": PGP_PARTNER.fingerprint, "verified": True, "trusted": True, "matches_from": True,
        "signing_time": "2026-03-15T12:00:00+00:00", "reason": None, "user_ids": ["Bob <bob@outside.example>"],
    }  # fmt: skip
    assert (found["decrypted"], found["signed_by_sender"], found["covers_whole_message"]) == (True, True, True)
    assert found["headers"]["X-Mailseal-Signed-By-Sender"] == "yes"


def test_a_mail_as_it_would_be_delivered(files):
    assert run("open", "mail", "--pgp-key", "dora.pgp", "--output", "out").exit_code == 0
    octets = (files / "out").read_bytes()
    assert octets.endswith(TEXT)
    assert parse(octets).root.header("x-mailseal-decrypted") == "yes"


def test_without_the_key_or_the_certificate(files):
    assert opened("mail")["layers"][0]["reason"] == "key-not-found"
    found = opened("mail", "--pgp-key", "dora.pgp")
    (signer,) = found["layers"][1]["signers"]
    assert (signer["reason"], signer["fingerprint"]) == ("signer-key-unknown", PGP_PARTNER.fingerprint)
    assert found["signed_by_sender"] is False
    assert opened("mail", "--pgp-key", "dora.pgp", "--pgp-cert", "paula")["signed_by_sender"] is False


def test_a_key_given_by_hand_still_has_to_name_the_sender(files):
    (files / "mail").write_bytes(HEAD + signed_mail(by=PGP_PARTNER_2))
    found = opened("mail", "--pgp-cert", "paula")
    assert found["signed_by_sender"] is False
    assert found["layers"][0]["signers"][0]["reason"] == "signer-not-from"


def test_texts_are_opened_as_well(files):
    entity = text(armored(sealed(literal_message(b"Hello\r\n", by=PGP_PARTNER), PGP_READER)))
    (files / "mail").write_bytes(HEAD + entity)
    assert opened("mail", "--pgp-key", "dora.pgp", "--pgp-cert", "bob.asc")["signed_by_sender"] is True
    (files / "mail").write_bytes(HEAD + b"".join(made_signed(TEXT, PGP_PARTNER, Shape.CLEARTEXT).entity))
    assert opened("mail", "--pgp-cert", "bob.asc")["signed_by_sender"] is True


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--pgp-key", "dora.asc", "--password-file", "wrong"), "was left out"),
        (("--pgp-key", "dora.asc"), "a password is needed"),
        (("--pgp-key", "bob.asc"), "bob.asc holds no secret key"),
        (("--pgp-key", "plain"), "plain: the file holds no OpenPGP key"),
        (("--pgp-cert", "plain"), "plain: the file holds no OpenPGP key"),
        (("--pgp-cert", "nowhere"), "nowhere cannot be read"),
        (("--pgp-key", "dora.pgp", "--password-file", "wrong", "--password-file", "wrong"), "--password-file"),
    ],
)
def test_what_is_wrong_with_a_key_is_told(files, words, told):
    done = run("open", "mail", *words)
    assert done.exit_code != 0
    assert told in str(done.exception)
    assert "open sesame" not in str(done.exception)


def test_a_mail_is_protected_and_opened_again(files):
    signer = ("--pgp-key", "bob-secret", "--password-file", "bobs-password")
    for form in ("mime", "inline"):
        done = run("protect", "plain", "--pgp-cert", "dora-public", *signer, "--pgp-format", form, "--output", "out")
        assert done.exit_code == 0, done.output
        assert b"canary" not in (files / "out").read_bytes()
        found = opened("out", "--pgp-key", "dora.pgp", "--pgp-cert", "bob.asc")
        assert (found["decrypted"], found["signed_by_sender"]) == (True, True)
    for more in ((), ("--pgp-format", "inline")):
        assert run("protect", "plain", *signer, *more, "--output", "out").exit_code == 0
        found = opened("out", "--pgp-cert", "bob.asc")
        assert (found["decrypted"], found["signed_by_sender"]) == (False, True)
    done = run("protect", "plain", "--pgp-cert", "dora-public", "--pgp-compression", "zlib", "--output", "out")
    assert done.exit_code == 0, done.output
    assert [one["kind"] for one in opened("out", "--pgp-key", "dora.pgp")["layers"]] == ["pgp-encrypted"]


def test_what_cannot_protect_is_told(files):
    done = run("protect", "plain", "--output", "out")
    assert "there is nothing to do" in str(done.exception)
    done = run("protect", "plain", "--pgp-cert", "paula", "--to", "paula", "--output", "out")
    assert "one method" in str(done.exception)
    alone = lasting_key("Eve <eve@elsewhere.example>").octets
    (files / "unbound").write_bytes(alone[: next(read_packets(alone)).end])
    done = run("protect", "plain", "--pgp-cert", "unbound", "--output", "out")
    assert done.exit_code != 0
    assert "self-signature" in str(done.exception)
    assert not (files / "out").exists()
