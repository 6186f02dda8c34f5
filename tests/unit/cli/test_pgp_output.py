"""OpenPGP keys as rows, an import of them in words, and times as people write them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import pgp_craft as craft
from mailseal.cli.errors import CommandError
from mailseal.cli.expiry_option import read_expiry
from mailseal.cli.pgp_import import Lines, Report, Totals
from mailseal.openpgp import edit
from mailseal.openpgp.algorithms import HashId
from mailseal.openpgp.certificate import PgpTrust, read_certificate
from mailseal.openpgp.component import RevocationCode
from mailseal.openpgp.subpackets import Kind, seconds, write_subpacket
from mailseal.store.pgp_admin import PgpInfo
from mailseal.store.pgp_facts import row_of
from mailseal.store.pgp_rows import PgpUse
from pgp_keys import pgp_key, shared_key
from pki import NOW

DAY = timedelta(days=1)
ANNA = "Anna <anna@inside.test>"


def info(octets, trust=PgpTrust.TRUSTED, keys=(), certified=(), uses=(), subkey=""):
    return PgpInfo(
        read_certificate(octets), trust, "import", False, subkey, frozenset(keys), frozenset(certified), uses, None,
        False, NOW, NOW,
    )  # fmt: skip


def row(octets, at=NOW, **more):
    return row_of(info(octets, **more), at)


def test_a_good_key():
    made = pgp_key(ANNA, expires_after=365 * DAY)
    uses = (("anna@inside.test", PgpUse.USER_ID), ("inside.test", PgpUse.SELECTED), ("x.test", PgpUse.SHARED))
    found = row(made.octets, keys=[made.fingerprint], uses=uses, subkey=made.keys[1][0].fingerprint)
    assert (found["state"], found["trust"], found["key"]) == ("good", "trusted", True)
    assert (found["addresses"], found["chosen_for"], found["shared_with"]) == (
        ["anna@inside.test"],
        ["inside.test"],
        ["x.test"],
    )
    assert [one["can"] for one in found["keys"]] == [["certify", "sign"], ["encrypt"]]
    assert [(one["secret"], one["chosen"]) for one in found["keys"]] == [(True, False), (False, True)]
    assert found["expires"] == NOW + 355 * DAY
    assert found["revocation"] is None


def test_states():
    made = pgp_key(ANNA, expires_after=365 * DAY)
    revoked = edit.revoke(made.certificate, made.primary, RevocationCode.COMPROMISED, "lost", at=NOW - DAY)
    assert row(revoked)["state"] == "revoked"
    assert row(revoked)["revocation"] == "compromised: lost"
    assert row(made.octets, at=NOW + 400 * DAY)["state"] == "expired"
    assert row(made.octets, at=NOW - 400 * DAY)["state"] == "not yet valid"


def test_trust():
    octets = shared_key(ANNA).octets
    assert row(octets, trust=PgpTrust.CANDIDATE)["trust"] == "candidate"
    found = row(octets, trust=PgpTrust.CANDIDATE, certified=[ANNA])
    assert (found["trust"], found["identities"][0]["certified"]) == ("certified", True)
    assert row(octets, trust=PgpTrust.DISTRUSTED, certified=[ANNA])["trust"] == "distrusted"


def test_the_primary_user_id_comes_first():
    made = pgp_key(ANNA, "anna@private.test")
    changed = edit.revoke_user_id(made.certificate, ANNA, made.primary, at=NOW - DAY)
    found = row(changed)
    assert found["user_ids"][0] == "anna@private.test"
    assert {one["user_id"]: (one["state"], one["primary"]) for one in found["identities"]} == {
        ANNA: ("revoked", False),
        "anna@private.test": ("good", True),
    }


@pytest.mark.parametrize(
    ("signed", "state"),
    [
        ({"at": NOW + DAY}, "not yet valid"),
        ({"says": (write_subpacket(Kind.EXPIRES, seconds(60)),)}, "expired"),
        ({"digest": HashId.SHA1}, "weak"),
        ({}, "good"),
    ],
)
def test_a_user_id_is_good_while_it_counts(signed, state):
    owner, more = craft.key(), dict(signed)
    named = craft.user_id_packet(ANNA) + craft.certify(owner, ANNA, *more.pop("says", ()), **more)
    (_, found) = row(craft.certificate(owner, craft.user_id(owner, "keys@inside.test"), named))["identities"]
    assert (found["user_id"], found["state"]) == (ANNA, state)


def test_an_import_in_words(capsys):
    lines = []
    output, totals = Lines(lines.append), Totals()
    good = Report(Path("ring.asc"), form="armored", new=3, known=2, updated=1, keys=4, waiting=2)
    bad = Report(Path("bad\n.asc"), form="armored", known=1, lost_key=True)
    bad.problem("member 1: no\x1b")
    for report in (good, bad):
        totals.count(report)
        output.file(report)
    output.end(totals, ())
    assert lines[0] == "armored       3 new       1 updated       1 known       4 keys  ring.asc"
    assert lines[2] == (
        "2 files: 3 keys imported, 3 known already, 1 of them updated, 4 secret keys; "
        "1 files gave nothing, or not their key"
    )
    assert lines[3].startswith("2 wait to be trusted")
    assert capsys.readouterr().err == "note: bad\\n.asc: member 1: no\\x1b\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("never", None),
        ("90d", NOW + 90 * DAY),
        ("2y", NOW + 730.5 * DAY),
        ("12m", NOW + 365.25 * DAY),
        ("2031-12-31", datetime(2031, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2031-12-31T10:00+02:00", datetime(2031, 12, 31, 8, tzinfo=UTC)),
    ],
)
def test_times(text, expected):
    assert read_expiry(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "3", "0d", "-1d", "3 y", "2026-01-01", "99999y", "soon", "2031-13-01"])
def test_times_that_are_none(text):
    with pytest.raises(CommandError):
        read_expiry(text, NOW)
