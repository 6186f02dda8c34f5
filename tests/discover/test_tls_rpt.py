"""Where domains want TLS reports: records as they are written, and as they should not be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.name_server import NameServer as Server
from mailseal.config.sections.dns import NameServer
from mailseal.discover.dns import Dns, DnsUnavailableError
from mailseal.discover.tls_rpt import MAX_PLACES, places_of, read_records, tlsa_strings


def uris(*records: str) -> list[str]:
    return [one.uri for one in read_records(records)]


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (["v=TLSRPTv1;rua=mailto:reports@b.example"], ["mailto:reports@b.example"]),
        (["v=TLSRPTv1; rua=https://reporting.b.example/v1/tlsrpt"], ["https://reporting.b.example/v1/tlsrpt"]),
        (
            ["v=TLSRPTv1 ; x=y; rua = mailto:a@b.example , https://b.example/r ;"],
            ["mailto:a@b.example", "https://b.example/r"],
        ),
        (["v=spf1 -all", "v=TLSRPTv1; rua=mailto:a@b.example"], ["mailto:a@b.example"]),
        (["v=TLSRPTv1; rua=mailto:a%2Bb@b.example"], ["mailto:a%2Bb@b.example"]),
        (["v=TLSRPTv1; rua=mailto:a@b.example,mailto:a@b.example"], ["mailto:a@b.example"]),
        (["v=TLSRPTv1; rua=ftp://b.example, mailto:a@b.example"], ["mailto:a@b.example"]),
        (["v=TLSRPTv1; rua=mailto:a@b.example; rua=mailto:c@b.example"], ["mailto:a@b.example"]),
        ([], []),
        (["v=TLSRPTv1"], []),
        (["v=TLSRPTv1;"], []),
        (["v=TLSRPTv1; rua="], []),
        (["v=TLSRPTv10; rua=mailto:a@b.example"], []),
        (["v=tlsrptv1; rua=mailto:a@b.example"], []),
        (["rua=mailto:a@b.example; v=TLSRPTv1"], []),
        (["v=TLSRPTv1; rua=mailto:a@b.example"] * 2, []),
        (["v=TLSRPTv1; rua=http://b.example/r"], []),
        (["v=TLSRPTv1; rua=mailto:nobody"], []),
        (["v=TLSRPTv1; rua=mailto:"], []),
        (["v=TLSRPTv1; rua=mailto:a@b.example%0d%0aBcc:c@d.example"], []),
        (["v=TLSRPTv1; rua=https:///r"], []),
        (["v=TLSRPTv1; rua=https://[b.example/r"], []),
        (["v=TLSRPTv1; rua=mailto:größe@b.example"], []),
        (["v=TLSRPTv1; rua=https://b.example/" + "x" * 600], []),
    ],
)
def test_records(records, expected):
    assert uris(*records) == expected


def test_the_address_is_decoded():
    [place] = read_records(["v=TLSRPTv1; rua=mailto:a%2Bb@b.example"])
    assert str(place.address) == "a+b@b.example"
    assert place.by_mail


def test_not_more_places_than_anybody_has():
    record = "v=TLSRPTv1; rua=" + ",".join(f"mailto:a{number}@b.example" for number in range(20))
    assert len(uris(record)) == MAX_PLACES


@given(
    st.lists(
        st.lists(
            st.sampled_from(["v=TLSRPTv1", ";", "rua=", "mailto:", "https://", "a@b.example", ",", "%", "[", "\0", "é"])
        ).map("".join),
        max_size=3,
    )
)
def test_any_records(records):
    for place in read_records(records):
        assert place.uri.isascii()
        assert place.by_mail == place.uri.startswith("mailto:")


def test_asked_by_dns():
    with Server() as server:
        dns = Dns([NameServer("127.0.0.1", server.port)])
        server.txt("_smtp._tls.b.example", "v=TLSRPTv1; rua=mailto:a@b.example")
        server.broken.add("_smtp._tls.c.example")
        assert [one.uri for one in places_of(dns, "b.example")] == ["mailto:a@b.example"]
        assert places_of(dns, "other.example") == ()
        with pytest.raises(DnsUnavailableError):
            places_of(dns, "c.example")


def test_tlsa_records_of_all_mx_hosts():
    with Server() as server:
        dns = Dns([NameServer("127.0.0.1", server.port)])
        server.records["b.example", "MX"] = ["10 mx1.b.example.", "20 mx2.b.example.", "30 mx3.b.example."]
        server.records["_25._tcp.mx1.b.example", "TLSA"] = ["3 1 1 " + "ab" * 32]
        server.records["_25._tcp.mx3.b.example", "TLSA"] = ["3 1 1 " + "ab" * 32, "2 0 1 " + "cd" * 32]
        server.broken.add("_25._tcp.mx2.b.example")
        assert set(tlsa_strings(dns, "b.example")) == {"3 1 1 " + "AB" * 32, "2 0 1 " + "CD" * 32}
        assert tlsa_strings(dns, "other.example") == ()
