"""`mailseal pgp` as it is typed, with gpg on the other side: what it exports is imported, and the reverse."""

import io
import json
import stat
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections

from harness import gpg as referee
from harness.gpg import Gpg
from harness.referees import RefusedError
from mailseal.cli import run
from mailseal.openpgp.packet import Tag, read_packets, write_packet
from mailseal.policy.model import Harvest, MethodName
from mailseal.store import pgp_candidates, transaction
from mailseal.store.models import PrivateKeyRow
from pgp_keys import pgp_key

PASSWORD = "correct horse"
BOB = "Bob <bob@partner.test>"
TEXT = b"a text for one reader\n"
DAY = timedelta(days=1)


class Node:
    """A node made by `mailseal init`."""

    def __init__(self, folder, capsysbinary):
        self.folder, self.file, self.capsys = folder, folder / "mailseal.toml", capsysbinary
        self.password = self.put("password", f"{PASSWORD}\n".encode())

    def octets(self, *arguments, status=0):
        """Standard output of a command."""
        found = run(["--config", str(self.file), *map(str, arguments)])
        captured = self.capsys.readouterr()
        self.err = captured.err.decode()
        assert found == status, self.err
        return captured.out

    def __call__(self, *arguments, status=0):
        return self.octets("pgp", *arguments, status=status).decode()

    def json(self, *arguments, status=0):
        return json.loads(self(*arguments, "--json", status=status))

    def put(self, name, octets):
        path = self.folder / name
        path.write_bytes(octets)
        return path

    def findings(self):
        return [row for row in json.loads(self.octets("check", "--json", status=1)) if row["check"] == "OpenPGP"]


@pytest.fixture
def node(tmp_path, capsysbinary, no_next_hop):
    made = Node(tmp_path, capsysbinary)
    made.octets("init", "--data", tmp_path / "data", "--hostname", "mx.example.com", "--internal-domain", "Example.com")
    yield made
    connections.close_all()


class Now:
    """A gpg whose clock goes: commands go by that of the machine."""

    def __init__(self, gpg):
        self._gpg = gpg

    def __call__(self, *words, given=b"", password=""):
        return self._gpg.run(*words, given=given, password=password, at=datetime.now(UTC))

    def make(self, user_id, password=""):
        self("--quick-gen-key", user_id, "future-default", "default", "1y", password=password)
        return self.fingerprint(user_id)

    def fingerprint(self, user_id):
        lines = self("--with-colons", "--list-keys", f"={user_id}").decode().splitlines()
        return next(line.split(":")[9].lower() for line in lines if line.startswith("fpr:"))

    def listed(self, name):
        return [line.split(":") for line in self("--with-colons", "--check-sigs", name).decode().splitlines()]


@pytest.fixture
def gpg():
    if reason := referee.why_not():
        pytest.skip(reason)
    with Gpg() as made:
        yield Now(made)


@pytest.fixture
def other():
    """Another home folder, which knows nothing."""
    with Gpg() as made:
        yield Now(made)


def column(lines, kind, number):
    return [line[number] for line in lines if line[0] == kind]


# ---- in


def test_what_gpg_exports_is_imported(node, gpg):
    bob, carol = gpg.make(BOB), gpg.make("carol@partner.test")
    armored, binary = node.put("ring.asc", gpg("--export", "--armor")), node.put("ring.gpg", gpg("--export"))
    said = node.json("import", armored, binary)
    assert [(one["form"], one["imported"], one["known"], one["good"]) for one in said["files"]] == [
        ("armored", 2, 0, True),
        ("binary", 0, 2, True),
    ]
    assert {one["fingerprint"]: one["trust"] for one in said["keys"]} == {bob: "candidate", carol: "candidate"}
    assert said["summary"] == {
        "files": 2, "not_good": 0, "imported": 2, "known": 2, "keys": 0, "waiting": 2, "updated": 0,
    }  # fmt: skip
    text = node("import", armored)
    assert "0 new" in text
    assert "mailseal pgp trust" not in text
    row = node.json("trust", bob[:16])
    assert (row["trust"], row["state"], row["key"], row["provenance"]) == ("trusted", "good", False, "import")
    assert [row["fingerprint"] for row in node.json("list", "--candidates")] == [carol]
    assert [row["fingerprint"] for row in node.json("list", "--address", "BOB@partner.test")] == [bob]
    assert {row["fingerprint"]: row["trust"] for row in node.json("import", "--trust", armored)["keys"]} == {
        bob: "trusted",
        carol: "trusted",
    }


def test_all_that_is_known_of_one(node, gpg):
    name = gpg.make(BOB)
    node("import", "--trust", node.put("bob.asc", gpg("--export", "--armor")))
    row = node.json("show", name)
    (primary, subkey), (identity,) = row["keys"], row["identities"]
    assert (primary["can"], subkey["can"]) == (["certify", "sign"], ["encrypt"])
    assert (primary["algorithm"], subkey["algorithm"]) == ("ed25519", "cv25519")
    assert {one["state"] for one in row["keys"]} == {"good"}
    assert (identity["user_id"], identity["address"], identity["primary"]) == (BOB, "bob@partner.test", True)
    assert row["addresses"] == ["bob@partner.test"]
    assert datetime.fromisoformat(row["expires"]) > datetime.now(UTC) + 364 * DAY
    text = node("show", name)
    for shown in (name, subkey["fingerprint"], BOB, "certify, sign", "trusted", "import"):
        assert shown in text
    assert node.json("subkey", name, subkey["key_id"])["keys"][1]["chosen"]
    node("subkey", name, primary["fingerprint"], status=1)
    assert subkey["fingerprint"] in node.err
    assert not node.json("subkey", name, "all")["keys"][1]["chosen"]


def test_one_broken_member_hides_none_of_the_others(node, gpg):
    bob = gpg.make(BOB)
    whole = gpg("--export")
    old = write_packet(Tag.PUBLIC_KEY, bytes([3]) + bytes(20))
    unbound = b"".join(
        write_packet(one.tag, one.octets)
        for one in read_packets(pgp_key("x@y.test").octets)
        if one.tag != Tag.SIGNATURE
    )
    report = node.json("import", node.put("ring", old + unbound + whole + whole[:60]), status=0)
    (file,) = report["files"]
    assert (file["imported"], file["good"]) == (2, True)
    assert file["problems"][0].startswith("member 1: ")
    assert "cut off" in file["problems"][-1]
    states = {row["fingerprint"]: row["state"] for row in report["keys"]}
    assert states.pop(bob) == "good"
    assert list(states.values()) == ["unbound"]
    bad = [node.put(name, octets) for name, octets in (("text", b"no key\n"), ("kbx", bytes(8) + b"KBXf"), ("no", b""))]
    report = node.json("import", *bad, status=1)
    assert [one["good"] for one in report["files"]] == [False] * 3
    assert "gpg --export" in report["files"][1]["problems"][0]
    node("import", node.folder / "missing", status=1)
    assert "cannot be read" in node.err


def test_secret_keys_come_with_their_password(node, gpg):
    name = gpg.make(BOB, PASSWORD)
    secret = node.put("secret.asc", gpg("--export-secret-keys", "--armor", password=PASSWORD))
    report = node.json("import", secret, status=1)
    assert "locked by a password" in report["files"][0]["problems"][0]
    report = node.json("import", "--password-file", node.put("wrong", b"wrong\n"), secret, status=1)
    assert "does not open" in report["files"][0]["problems"][0]
    assert report["keys"][0]["trust"] == "candidate"
    assert not PrivateKeyRow.objects.exists()
    report = node.json("import", "--password-file", node.password, secret)
    assert (report["files"][0]["keys"], report["keys"][0]["trust"]) == (2, "trusted")
    row = node.json("show", name)
    assert [one["secret"] for one in row["keys"]] == [True, True]
    for sealed in PrivateKeyRow.objects.values_list("sealed", flat=True):
        assert len(bytes(sealed)) > 32
    assert PASSWORD not in node.err


def test_subkeys_alone_as_on_a_notebook(node, gpg):
    """gpg writes in place of the primary key that it is elsewhere."""
    name = gpg.make(BOB)
    node("import", node.put("sub.asc", gpg("--export-secret-subkeys", "--armor")))
    assert "kept elsewhere" in node.err
    assert [one["secret"] for one in node.json("show", name)["keys"]] == [False, True]
    node("revoke", name, "--reason", "retired", "--yes", status=1)
    assert "secret primary key" in node.err
    locked = node("export", "--secret", "--password-file", node.password, name)
    assert "PRIVATE KEY BLOCK" in locked


def test_a_revocation_of_gpg(node, gpg):
    name = gpg.make(BOB)
    node("import", "--trust", node.put("bob.asc", gpg("--export", "--armor")))
    (file,) = (gpg._gpg.home / "openpgp-revocs.d").glob("*.rev")
    # gpg puts a colon before it, so that it is not used by accident.
    revocation = node.put("revocation.asc", file.read_bytes().replace(b"\n:-----", b"\n-----"))
    assert node.json("import", revocation)["files"][0]["updated"] == 1
    row = node.json("show", name)
    assert (row["state"], row["keys"][0]["state"]) == ("revoked", "revoked")
    assert row["revocation"].startswith("unspecified")


# ---- out


def test_a_key_of_ours_in_gpg(node, gpg):
    row = node.json("generate", "Anna <anna@example.com>", "--expires", "2y")
    name = row["fingerprint"]
    assert (row["trust"], row["key"], row["provenance"]) == ("trusted", True, "generated")
    gpg("--import", given=node.octets("pgp", "export", name))
    lines = gpg.listed(name)
    assert column(lines, "uid", 9) == ["Anna <anna@example.com>"]
    assert set(column(lines, "sig", 1)) == {"!"}
    first = int(column(lines, "pub", 6)[0])
    assert gpg("--encrypt", "--recipient", name, given=TEXT)

    assert node.json("expire", name, "5y")["expires"] > row["expires"]
    node("add-user-id", name, "Anna <anna@private.test>")
    gpg("--import", given=node.octets("pgp", "export", "--binary", name))
    lines = gpg.listed(name)
    assert set(column(lines, "uid", 9)) == {"Anna <anna@example.com>", "Anna <anna@private.test>"}
    assert int(column(lines, "pub", 6)[0]) > first + 2 * 365 * 86400
    assert node.json("list", "--address", "anna@private.test")

    node("revoke", name, "--user-id", "Anna <anna@private.test>", "--yes")
    node("revoke", name, "--yes", status=1)
    assert "--reason" in node.err
    node("revoke", name, "--reason", "superseded", "--text", "by another", "--yes")
    gpg("--import", given=node.octets("pgp", "export", name))
    lines = gpg.listed(name)
    assert column(lines, "pub", 1) == ["r"]
    assert node.json("show", name)["revocation"] == "superseded: by another"


@pytest.mark.parametrize("kind", ["ed25519", "rsa3072"])
def test_a_secret_key_goes_out_under_a_password(node, gpg, other, kind):
    name = node.json("generate", "Anna <anna@example.com>", "--kind", kind)["fingerprint"]
    node("export", "--secret", "--password-file", node.put("short", b"short\n"), name, status=1)
    assert "too short" in node.err
    place = node.folder / "secret.asc"
    words = ("export", "--secret", "--password-file", node.password, "--output", place, name)
    node(*words)
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    node(*words, status=1)
    assert "exists already" in node.err
    gpg("--import", given=place.read_bytes(), password=PASSWORD)
    encrypted = gpg("--encrypt", "--recipient", name, given=TEXT)
    assert gpg("--decrypt", given=encrypted, password=PASSWORD) == TEXT
    other("--import", given=place.read_bytes(), password="wrong")  # which it does not try before it has to
    with pytest.raises(RefusedError):
        other("--decrypt", given=encrypted, password="wrong")
    # And back, into a node that has lost it.
    node("delete", name, "--yes", status=1)
    assert "--with-key" in node.err
    node("delete", name, "--with-key", "--yes")
    assert not PrivateKeyRow.objects.exists()
    node("import", "--password-file", node.password, place)
    assert [one["secret"] for one in node.json("show", name)["keys"]] == [True, True]


def test_there_and_back_with_gpgs_own_lock(node, gpg, other):
    name = gpg.make(BOB, PASSWORD)
    node("import", "--password-file", node.password,
         node.put("in.asc", gpg("--export-secret-keys", "--armor", password=PASSWORD)))  # fmt: skip
    out = node.octets("pgp", "export", "--secret", "--password-file", node.password, name)
    other("--import", given=out, password=PASSWORD)
    encrypted = gpg("--encrypt", "--recipient", name, given=TEXT)
    assert other("--decrypt", given=encrypted, password=PASSWORD) == TEXT


def test_what_is_not_exported(node, gpg):
    name = gpg.make(BOB)
    node("import", node.put("bob.asc", gpg("--export", "--armor")))
    for words, why in (
        (("--secret", "--password-file", node.password, name), "secret key is not here"),
        (("--secret", "--binary", name), "armored"),
        ((f"{1:040x}",), "no OpenPGP key has"),
    ):
        node("export", *words, status=1)
        assert why in node.err


# ---- domain keys


def test_the_key_of_a_domain_certifies_its_people(node, gpg):
    domain_key = node.json("generate", "Keys of Partner <keys@partner.test>", "--use", "partner.test")
    assert domain_key["chosen_for"] == ["partner.test"]
    name = gpg.make(BOB)
    node("import", node.put("bob.asc", gpg("--export", "--armor")))
    assert node.json("show", name)["trust"] == "candidate"
    row = node.json("certify", name, "--expires", "1y")
    assert (row["trust"], [one["certified"] for one in row["identities"]]) == ("certified", [True])
    gpg("--import", given=node.octets("pgp", "export", name, domain_key["fingerprint"]))
    found = [line for line in gpg.listed(name) if line[0] == "sig"]
    assert (domain_key["key_id"].upper(), "!") in {(line[4], line[1]) for line in found}
    node("use", domain_key["fingerprint"], "partner.test", "--stop")
    assert node.json("show", name)["trust"] == "candidate"
    node("use", domain_key["fingerprint"], "partner.test", "--stop", status=1)
    node("certify", name, status=1)
    assert "mailseal pgp use" in node.err


def test_who_may_use_a_key(node, gpg, monkeypatch):
    name = node.json("generate", "team@example.com")["fingerprint"]
    row = node.json("use", name, "anna@example.com", "--share")
    assert (row["shared_with"], row["chosen_for"]) == (["anna@example.com"], [])
    bob = gpg.make(BOB)
    node("import", node.put("bob.asc", gpg("--export", "--armor")))
    node("use", bob, "partner.test", "--share", status=1)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    node("use", bob, "*.partner.test", status=130)  # which his own address is not below
    assert f"trusted for all its user IDs, {BOB} among them" in node.err
    row = node.json("use", bob, "*.partner.test", "--yes")
    assert (row["chosen_for"], row["trust"]) == (["*.partner.test"], "trusted")
    assert node.json("distrust", bob)["trust"] == "distrusted"
    node("use", bob, "partner.test", status=1)
    assert "distrusted" in node.err


# ---- what waits


def test_what_came_by_mail_waits_and_check_says_so(node, monkeypatch):
    assert [row["status"] for row in node.findings()] == ["ok"]
    made = node.json("generate", "Anna <anna@example.com>", "--expires", "20d")["fingerprint"]
    known, new, first = (pgp_key(one, at=datetime.now(UTC) - DAY) for one in (BOB, BOB, "carol@partner.test"))
    node("import", "--trust", node.put("bob", known.octets))
    harvested = [Harvest(one.octets, method=MethodName.PGP, source="attached by x@evil.test") for one in (new, first)]
    prepared = pgp_candidates.prepare_harvest(harvested)
    transaction.run(lambda: pgp_candidates.insert_candidates(prepared))
    expiring, conflict, waiting = node.findings()
    assert (expiring["status"], conflict["status"], waiting["status"]) == ("warn", "warn", "ok")
    assert "Anna" in expiring["text"]
    assert f"mailseal pgp expire {made[:16]}" in expiring["what_to_do"]
    assert conflict["text"].endswith(": 1")
    assert ": 2 " in waiting["text"]
    (row,) = node.json("list", "--conflicts")
    assert (row["fingerprint"], row["provenance"]) == (new.fingerprint, "mail attached by x@evil.test")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    node("trust", new.fingerprint, status=130)
    assert f"Another key is trusted for one of these: {BOB}" in node.err
    assert node.json("trust", new.fingerprint, "--yes")["trust"] == "trusted"
    node("distrust", new.fingerprint)
    node("trust", first.fingerprint)
    node("expire", made, "never")
    assert [row["status"] for row in node.findings()] == ["ok"]
    assert "made by nobody" not in node("list")


@pytest.mark.parametrize("when", ["yesterday", "2020-01-01", "0y", "3w", "200000y"])
def test_times_that_are_none(node, when):
    node("generate", "anna@example.com", "--expires", when, status=1)
    assert node.json("list") == []
