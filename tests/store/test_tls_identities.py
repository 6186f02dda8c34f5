"""Certificates of our own servers at rest: what is shown stays until the next one is complete."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mailseal.cli.checks.server_certificates import kept
from mailseal.keys.sealing import BrokenSealError, Kek
from mailseal.keys.tls_certificate import TlsCertificateError, key_pem, new_key, read_chain, read_key, self_signed
from mailseal.store import rewrap, tls_identities
from mailseal.store.row import utc_now
from mailseal.store.tls_identities import Server, Source, TlsIdentityError
from mailseal.store.tls_identity_models import TlsIdentityRow

NAMES = ["gate.example.org"]


def _public(pem: bytes):
    return load_pem_private_key(pem, None).public_key()


def test_a_self_signed_one_is_shown_and_renewed_with_a_new_key(store, kek):
    one = tls_identities.make_self_signed(Server.CONSOLE, NAMES, kek)
    assert tls_identities.shown(Server.CONSOLE) == one
    assert tls_identities.shown(Server.MAIL) is None
    assert one.due is not None
    assert one.not_after is not None
    assert one.not_after - one.due == tls_identities.RENEW_SELF_SIGNED

    again = tls_identities.make_self_signed(Server.CONSOLE, one.names, kek)
    assert again.names == one.names
    assert (
        _public(tls_identities.private_pem(again, kek))
        == x509.load_pem_x509_certificate(again.pem.encode()).public_key()
    )
    with pytest.raises(TlsIdentityError, match="replaced"):
        tls_identities.private_pem(one, kek)


def test_a_request_takes_nothing_away_and_what_is_issued_is_shown(store, kek):
    before = tls_identities.make_self_signed(Server.MAIL, NAMES, kek)
    asked = tls_identities.ask(Server.MAIL, NAMES, kek)
    assert tls_identities.shown(Server.MAIL) == before
    assert tls_identities.make_self_signed(Server.MAIL, NAMES, kek, ends_request=False).id != before.id
    assert [one.asked for one in tls_identities.list_identities()] == [False, True]

    key = read_key(tls_identities.private_pem(asked, kek))
    with pytest.raises(TlsCertificateError, match="belongs to the private key"):
        tls_identities.accept(Server.MAIL, self_signed(new_key(), NAMES, utc_now()).pem, kek)
    done = tls_identities.accept(Server.MAIL, self_signed(key, NAMES, utc_now()).pem, kek)
    assert (done.source, done.due) == (Source.REQUESTED, None)
    assert tls_identities.list_identities() == (done,)
    with pytest.raises(TlsIdentityError, match="nothing is asked"):
        tls_identities.accept(Server.MAIL, done.pem.encode(), kek)


def test_one_that_has_expired_is_not_taken(store, kek):
    key = new_key()
    old = self_signed(key, NAMES, utc_now() - timedelta(days=800))
    with pytest.raises(TlsIdentityError, match="expired"):
        tls_identities.bring_along(Server.CONSOLE, old.pem, key_pem(key), kek)
    assert tls_identities.list_identities() == ()


def test_by_acme_the_worker_asks_now_and_again_after_two_thirds(store, kek):
    before = tls_identities.make_self_signed(Server.CONSOLE, NAMES, kek)
    asked = tls_identities.ask_by_acme(Server.CONSOLE, NAMES, "https://ca.example/directory", "", kek)
    assert asked.due is not None
    assert asked.due <= utc_now()
    account = tls_identities.account(asked.directory, kek)
    read_key(account.key)

    tls_identities.failed(asked, "no\nanswer \ud800")
    waiting = next(one for one in tls_identities.list_identities() if one.asked)
    assert waiting.due is not None
    assert waiting.due > utc_now() + timedelta(hours=5)
    assert tls_identities.shown(Server.CONSOLE) == before

    key = read_key(tls_identities.private_pem(asked, kek))
    done = tls_identities.issued(asked, self_signed(key, NAMES, utc_now()).pem, kek)
    assert done.due is not None
    assert done.not_after is not None
    assert timedelta(days=120) < done.not_after - done.due < timedelta(days=123)

    renewal = tls_identities.begin_renewal(done, kek)
    assert (renewal.asked, renewal.names, renewal.directory) == (True, done.names, done.directory)
    shown = tls_identities.shown(Server.CONSOLE)
    assert shown is not None
    assert (shown.id, shown.due) == (done.id, done.due)
    known, later = tls_identities.list_identities(), done.due + timedelta(days=1)
    assert tls_identities.to_renew(known, later) == (renewal,), "one at a time"
    assert tls_identities.drop_request(Server.CONSOLE)
    assert tls_identities.to_renew(tls_identities.list_identities(), later) == (shown,), "it does not end unnoticed"
    assert not tls_identities.drop_request(Server.CONSOLE)


@pytest.mark.parametrize(
    ("names", "directory"), [(["*.example.org"], "https://ca.example/"), (NAMES, "http://ca.example/"), (NAMES, "x")]
)
def test_what_acme_cannot_do_is_refused_at_once(store, kek, names, directory):
    with pytest.raises(TlsIdentityError):
        tls_identities.ask_by_acme(Server.CONSOLE, names, directory, "", kek)


def test_an_account_whose_key_does_not_open_gives_way_to_another(store, kek):
    directory = "https://ca.example/directory"
    tls_identities.ask_by_acme(Server.CONSOLE, NAMES, directory, "", Kek(b"x" * 32))
    tls_identities.ask_by_acme(Server.CONSOLE, NAMES, directory, "it@example.org", kek)
    first = tls_identities.account(directory, kek)
    tls_identities.ask_by_acme(Server.CONSOLE, NAMES, directory, "", kek)
    assert tls_identities.account(directory, kek).key == first.key


def test_check_says_when_one_has_to_be_renewed(store, kek):
    def said() -> list[tuple[str, str]]:
        return [(one.status.value, one.text) for one in kept(None)]

    assert said() == []
    one = tls_identities.make_self_signed(Server.CONSOLE, NAMES, kek)
    assert [status for status, _ in said()] == ["ok"]
    TlsIdentityRow.objects.filter(pk=one.id).update(due=utc_now() - timedelta(days=2))
    assert said()[0][0] == "warn"
    TlsIdentityRow.objects.filter(pk=one.id).update(not_after=utc_now())
    assert said()[0][0] == "fail"
    asked = tls_identities.ask_by_acme(Server.MAIL, NAMES, "https://ca.example/", "", kek)
    tls_identities.failed(asked, "not today")
    assert ("warn", "mail: not today") in said()


def test_an_answer_is_found_under_its_token_for_a_day(store, kek):
    tls_identities.publish("token", "answer")
    tls_identities.publish("token", "other")
    assert tls_identities.published("token") == "other"
    assert tls_identities.published("Token2") is None


def test_keys_are_sealed_bound_to_their_row_and_move_to_another_kek(store, kek):
    one = tls_identities.make_self_signed(Server.CONSOLE, NAMES, kek)
    other = tls_identities.ask_by_acme(Server.MAIL, NAMES, "https://ca.example/", "", kek)
    named = {column.what for column in rewrap.SEALED}
    assert {"key of a server's certificate", "key of an ACME account"} <= named
    row = TlsIdentityRow.objects.get(pk=one.id)
    assert b"PRIVATE KEY" not in bytes(row.sealed)
    TlsIdentityRow.objects.filter(pk=other.id).update(sealed=bytes(row.sealed))
    with pytest.raises(BrokenSealError):
        tls_identities.private_pem(other, kek)
    assert isinstance(kek, Kek)
    read_chain(one.pem.encode(), read_key(tls_identities.private_pem(one, kek)))
