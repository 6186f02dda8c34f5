"""`mailseal message open`, `protect` and `explain` as they are typed, with gpg as the program on the other side."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections

from harness import gpg as referee
from harness import pgp_mime
from harness.gpg import Gpg
from harness.mail import CANARY, entity, mail
from harness.openssl import crlf
from harness.pgp_mime import encrypted, encrypted_part, mangled, parsed, signed, signed_parts
from mailseal.cli import run

ANNA, BOB, CARL = "anna@alpha.example", "bob@partner.example", "carl@partner.example"
PASSWORD, BOBS_PASSWORD = "pässword", "another one"


class People:
    """gpg with keys of Anna (RSA) and Bob (Ed25519), each locked by a password, and what it exports as files."""

    def __init__(self, gpg: Gpg, folder: Path) -> None:
        self.gpg, self.folder = gpg, folder
        gpg.run("--quick-gen-key", f"Anna Ä <{ANNA}>", "rsa2048", "sign,cert", "1y", password=PASSWORD)
        self.anna = self.fingerprint(ANNA)
        gpg.run("--quick-add-key", self.anna, "rsa2048", "encr", "1y", password=PASSWORD)
        gpg.run("--quick-gen-key", f"Bob <{BOB}>", "future-default", "default", "1y", password=BOBS_PASSWORD)
        self.bob = self.fingerprint(BOB)
        self.put("anna.asc", gpg.run("--export-secret-keys", "--armor", self.anna, password=PASSWORD))
        self.put("bob.gpg", gpg.run("--export-secret-keys", self.bob, password=BOBS_PASSWORD))
        self.put("anna-public.asc", gpg.run("--export", "--armor", self.anna))
        self.put("bob-public.gpg", gpg.run("--export", self.bob))
        self.put("password", PASSWORD.encode())
        self.put("bobs-password", BOBS_PASSWORD.encode())

    def fingerprint(self, address: str) -> str:
        return next(line[9].lower() for line in self.gpg.listed(address) if line[0] == "fpr")

    def put(self, name: str, octets: bytes) -> str:
        (self.folder / name).write_bytes(octets)
        return str(self.folder / name)

    def by_bob(self, content: bytes, *options: str, to: str = ANNA) -> bytes:
        signing = ("--armor", "--sign", "--local-user", self.bob)
        return self.gpg.encrypt(content, to, options=(*signing, *options), password=BOBS_PASSWORD)


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Iterator[People]:
    if reason := referee.why_not():
        pytest.skip(reason)
    with Gpg(at=None) as gpg:
        yield People(gpg, tmp_path_factory.mktemp("people"))


@pytest.fixture
def typed(people, capsysbinary, monkeypatch):
    """`mailseal message …` among the files; what it prints."""
    monkeypatch.chdir(people.folder)

    def type_(*words: str, status: int = 0, config: str = "none.toml") -> bytes:
        found = run(["--config", config, *words])
        captured = capsysbinary.readouterr()
        assert found == status, captured.err.decode()
        return captured.out + captured.err * bool(status)

    return type_


@pytest.fixture
def store_ends() -> Iterator[None]:
    yield
    connections.close_all()


def opened(typed, *words: str) -> dict:
    return json.loads(typed("message", "open", *words, "--json"))


OWN = ("--pgp-key", "anna.asc", "--password-file", "password")
KNOWN = ("--pgp-cert", "bob-public.gpg")


@pytest.mark.parametrize("form", ["mime", "mangled", "inline"])
def test_open(people, typed, form):
    content = entity() if form != "inline" else CANARY + b" for your eyes\r\n"
    armored = people.by_bob(content)
    made = {
        "mime": lambda: encrypted(armored),
        "mangled": lambda: mangled(armored),
        "inline": lambda: b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + crlf(armored),
    }[form]()
    people.put("mail.eml", pgp_mime.mail(BOB, ANNA, made))
    found = opened(typed, "mail.eml", *OWN, *KNOWN, "--output", "out.eml")
    outer, inner = found["layers"]
    assert (outer["kind"], outer["ok"], outer["integrity"], outer["reason"]) == (
        "pgp-encrypted",
        True,
        "authenticated",
        None,
    )
    assert (inner["kind"], inner["ok"], inner["reason"]) == ("pgp-signed", True, None)
    (signer,) = inner["signers"]
    assert (signer["fingerprint"], signer["addresses"], signer["user_ids"]) == (people.bob, [BOB], [f"Bob <{BOB}>"])
    assert (found["decrypted"], found["signed_by_sender"], found["covers_whole_message"]) == (True, True, True)
    written = (people.folder / "out.eml").read_bytes()
    assert CANARY in written
    assert b"X-Mailseal-Signed-By-Sender: yes" in written

    # Who signed is not known; without the key that opens it, it is as it came.
    found = opened(typed, "mail.eml", *OWN)
    assert (found["decrypted"], found["signed_by_sender"]) == (True, False)
    assert found["layers"][1]["signers"][0]["reason"] == "signer-key-unknown"
    found = opened(typed, "mail.eml", *KNOWN, "--output", "out.eml")
    assert (found["decrypted"], found["layers"][0]["reason"]) == (False, "key-not-found")
    assert CANARY not in (people.folder / "out.eml").read_bytes()
    assert b"password" in typed("message", "open", "mail.eml", *OWN[:2], "--password-file", "bobs-password", status=1)


def test_open_what_is_signed(people, typed):
    signature = people.gpg.sign(entity(), people.bob, options=("--armor", "--detach-sign"), password=BOBS_PASSWORD)
    people.put("mail.eml", pgp_mime.mail(BOB, ANNA, signed(entity(), signature)))
    assert opened(typed, "mail.eml", *KNOWN)["signed_by_sender"]
    text = typed("message", "open", "mail.eml", *KNOWN).decode()
    assert people.bob[:16] in text or BOB in text
    clear = crlf(people.gpg.sign(b"a text\r\n", people.bob, options=("--clear-sign",), password=BOBS_PASSWORD))
    people.put("mail.eml", pgp_mime.mail(CARL, ANNA, b"Content-Type: text/plain\r\n\r\n" + clear))
    (layer,) = opened(typed, "mail.eml", *KNOWN)["layers"]
    assert [one["reason"] for one in layer["signers"]] == ["signer-not-from"]


@pytest.mark.parametrize("compression", ["none", "zlib"])
def test_protect(people, typed, compression):
    people.put("mail.eml", mail(BOB, ANNA))
    by = ("--pgp-key", "bob.gpg", "--password-file", "bobs-password")
    to = ("--pgp-cert", "anna-public.asc")
    where = ("--pgp-compression", compression, "--output", "out.eml")

    def protect(*words: str) -> bytes:
        typed("message", "protect", "mail.eml", *words, *where)
        return (people.folder / "out.eml").read_bytes()

    for words, signers in (((*to, *by), [people.bob]), (to, [])):
        out = protect(*words)
        assert CANARY not in out
        found = people.gpg.read(encrypted_part(out), password=PASSWORD)
        assert (CANARY in found.content, found.signers) == (True, signers)
        out = protect(*words, "--pgp-format", "inline")
        found = people.gpg.read(parsed(out).get_payload(decode=True), password=PASSWORD)
        assert (CANARY in found.content, found.signers) == (True, signers)
    content, signature = signed_parts(protect(*by))
    assert people.gpg.verify(content, signature) == people.bob
    found = people.gpg.read(parsed(protect(*by, "--pgp-format", "inline")).get_payload(decode=True))
    assert (CANARY in found.content, found.signers) == (True, [people.bob])


def test_explain_and_open_with_the_keys_of_a_gateway(people, typed, store_ends):
    def gateway(*words: str) -> bytes:
        return typed(*words, config="mailseal.toml")

    gateway("init", "--data", "data", "--hostname", "mx.alpha.example", "--internal-domain", "alpha.example")
    gateway("pgp", "import", "--trust", "bob-public.gpg")
    gateway("pgp", "import", "anna.asc", "--password-file", "password")
    gateway("settings", "set", "mode", "mandatory", "--domain", "partner.example")
    people.put("mail.eml", mail(ANNA, f"{BOB}, {CARL}"))
    words = ("message", "explain", "mail.eml", "--from", ANNA, "--to", BOB, "--to", CARL)
    to_bob, to_carl = json.loads(gateway(*words, "--json"))
    assert (to_bob["recipient"], to_bob["method"]) == (BOB, "pgp")
    assert "signed+encrypted" in to_bob["outcome"]
    assert "refused" in to_carl["outcome"]
    assert "there is no OpenPGP key" in str(to_carl["reasons"])

    people.put("answer.eml", pgp_mime.mail(BOB, ANNA, encrypted(people.by_bob(entity()))))
    words = ("message", "explain", "answer.eml", "--from", BOB, "--to", ANNA, "--json")
    (row,) = json.loads(gateway(*words))
    assert "opened" in row["outcome"], row
    words = ("message", "open", "answer.eml", "--store", "--to", ANNA, "--json")
    assert json.loads(gateway(*words))["signed_by_sender"]
