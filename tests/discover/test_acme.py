"""Certificates by ACME, from a CA that checks what it is sent (RFC 8555)."""

import ssl

import pytest
from cryptography import x509

from harness.acme_ca import AcmeCa
from mailseal.discover.acme import AcmeError, obtain
from mailseal.discover.fetch import Fetcher, FetchError, FetchLimits
from mailseal.keys.tls_certificate import key_pem, new_key, read_chain, request

NAMES = ("mail.example.org", "console.example.org")


def fetcher(ca: AcmeCa, **changes) -> Fetcher:
    limits = FetchLimits(total_seconds=20.0, max_redirects=0, **{"allow_private": True, **changes})
    trusting = ssl.create_default_context(cafile=str(ca.trusted))
    return Fetcher(limits, tls=trusting, look_up=lambda host, port, deadline: (("127.0.0.1", port),))


@pytest.fixture
def answers() -> dict[str, str]:
    return {}


@pytest.fixture
def ca(tmp_path, answers):
    with AcmeCa(tmp_path, lambda name, token: answers.get(token)) as running:
        yield running


def ask(ca: AcmeCa, answers: dict[str, str], account: bytes, uri: str = "", **changes):
    key = new_key()
    issued = obtain(
        f"{ca.root}/directory", account, uri, "hostmaster@example.org", request(key, NAMES),
        fetcher=fetcher(ca, **changes), publish=answers.__setitem__,
    )  # fmt: skip
    return key, issued


def test_a_certificate_for_two_names_then_one_more_by_the_same_account(ca, answers):
    account = key_pem(new_key())
    key, issued = ask(ca, answers, account)
    chain = read_chain(issued.chain_pem, key)
    assert sorted(chain.names) == sorted(NAMES)
    assert len(x509.load_pem_x509_certificates(chain.pem)) == 2
    assert ca.contacts == [["mailto:hostmaster@example.org"]]

    _, again = ask(ca, answers, account, issued.account_uri)
    assert (again.account_uri, len(ca.accounts), ca.orders) == (issued.account_uri, 1, 2)


def test_what_the_ca_cannot_find_is_told_with_its_own_words_and_no_more(ca):
    with pytest.raises(AcmeError, match=r"mail\.example\.org: the file is not there") as caught:
        ask(ca, _Forgetful(), key_pem(new_key()))
    assert "\x1b" not in str(caught.value)


class _Forgetful(dict):
    def __setitem__(self, *_: object) -> None:
        pass


def test_a_ca_that_refuses_is_quoted(ca, answers):
    ca.refuse = "too many certificates for this week"
    with pytest.raises(AcmeError, match="too many certificates"):
        ask(ca, answers, key_pem(new_key()))


def test_a_ca_at_a_private_address_is_not_called_unless_that_is_set(ca, answers):
    with pytest.raises(FetchError, match="no public address"):
        ask(ca, answers, key_pem(new_key()), allow_private=False)
    assert ca.orders == 0
