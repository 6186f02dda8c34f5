"""Subpackets: what they say, which ones make a signature invalid, and that any octets are read or refused."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.openpgp.component import Features, KeyFlags
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.subpackets import (
    MAX_SUBPACKETS,
    Kind,
    fingerprint_body,
    read_hints,
    read_statements,
    seconds,
    split_subpackets,
    write_subpacket,
)

FINGERPRINTS = ("ab" * 20, "cd" * 32)


def said(*subpackets):
    return read_statements(split_subpackets(b"".join(subpackets)))


@pytest.mark.parametrize("octets", [0, 1, 190, 191, 192, 8382, 8383, 8384, 20_000])
def test_lengths(octets):
    (one,) = split_subpackets(write_subpacket(Kind.NOTATION, bytes(octets), critical=True))
    assert (one.kind, one.critical, len(one.body)) == (Kind.NOTATION, True, octets)


def test_what_is_said():
    found = said(
        write_subpacket(Kind.CREATED, seconds(1_700_000_000)),
        write_subpacket(Kind.EXPIRES, seconds(60)),
        write_subpacket(Kind.KEY_EXPIRES, seconds(3600)),
        write_subpacket(Kind.KEY_FLAGS, b"\x03\x01"),
        write_subpacket(Kind.FEATURES, b"\x09"),
        write_subpacket(Kind.CIPHERS, b"\x09\x07"),
        write_subpacket(Kind.AEADS, b"\x09\x02\x07\x03\x09"),
        write_subpacket(Kind.PRIMARY_USER_ID, b"\1"),
        write_subpacket(Kind.REVOCATION_REASON, b"\x02lost"),
        write_subpacket(Kind.SIGNERS_USER_ID, b"anna\xff"),
        *(write_subpacket(Kind.RECIPIENT, fingerprint_body(one)) for one in FINGERPRINTS),
    )
    assert found.created == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert (found.expires_after, found.key_expires_after) == (60, 3600)
    assert found.flags == KeyFlags.CERTIFY | KeyFlags.SIGN | 0x100
    assert found.features == Features.SEIPD_V1 | Features.SEIPD_V2
    assert (found.ciphers, found.aeads) == ((9, 7), ((9, 2), (7, 3)))
    assert found.primary_user_id
    assert found.revocation == (2, "lost")
    assert found.signers_user_id == "anna\ufffd"
    assert found.recipients == FINGERPRINTS
    assert found.understood


def test_the_last_one_counts():
    found = said(write_subpacket(Kind.KEY_FLAGS, b"\x02"), write_subpacket(Kind.KEY_FLAGS, b"\x0c"))
    assert found.flags == 12


@pytest.mark.parametrize(
    ("kind", "understood"),
    [(Kind.NOTATION, False), (6, False), (34, False), (101, False), (Kind.POLICY_URI, True), (Kind.KEY_FLAGS, True)],
)
def test_what_is_critical(kind, understood):
    assert said(write_subpacket(kind, b"\1", critical=True)).understood is understood
    assert said(write_subpacket(kind, b"\1")).understood


def test_the_unhashed_area_gives_hints_only():
    found = read_hints(
        split_subpackets(
            write_subpacket(Kind.ISSUER, bytes(8))
            + write_subpacket(Kind.EMBEDDED, b"x")
            + write_subpacket(Kind.KEY_FLAGS, b"\x0c")
            + write_subpacket(Kind.KEY_EXPIRES, seconds(1))
            + write_subpacket(Kind.PRIMARY_USER_ID, b"\1")
            + write_subpacket(101, b"", critical=True)
        )
    )
    assert (found.issuer_key_id, found.embedded) == ("0" * 16, (b"x",))
    assert (found.flags, found.key_expires_after, found.primary_user_id) == (None, None, False)
    assert found.understood


@pytest.mark.parametrize(
    "area",
    [
        b"\0",
        b"\x05\x02\0\0",
        b"\xff\0\0\1",
        write_subpacket(Kind.CREATED, b"\0\0\0"),
        write_subpacket(Kind.EXPORTABLE, b""),
        write_subpacket(Kind.ISSUER, bytes(7)),
        write_subpacket(Kind.ISSUER_FINGERPRINT, b"\x04" + bytes(32)),
        write_subpacket(Kind.ISSUER_FINGERPRINT, b"\x05" + bytes(20)),
        write_subpacket(101, b"") * (MAX_SUBPACKETS + 1),
    ],
)
def test_malformed(area):
    with pytest.raises(PgpError):
        said(area)


@given(st.binary(max_size=200))
def test_any_octets(area):
    try:
        found = split_subpackets(area)
        read_statements(found)
        read_hints(found)
    except PgpError:
        return
    assert sum(len(one.body) + 2 for one in found) <= len(area)
