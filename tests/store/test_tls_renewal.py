"""The worker renews our servers' certificates; whatever a CA does, it is not asked again at once."""

from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from harness.acme_ca import AcmeCa
from mailseal.config.load import from_values
from mailseal.keys.seal_errors import KekMissingError
from mailseal.keys.tls_certificate import new_key, self_signed
from mailseal.roles.tls_renewal import RENEW, TlsFiles, renew
from mailseal.store import jobs, tls_identities
from mailseal.store.row import utc_now
from mailseal.store.tls_identities import Server, Source
from mailseal.store.tls_identity_models import TlsIdentityRow

NAME = "gate.alpha.example"


class WrongCa(AcmeCa):
    """Issues for another key than the one of the request."""

    def _issue(self, csr: str) -> None:
        super()._issue(csr)
        self.issued = self_signed(new_key(), [NAME], utc_now()).pem.decode()


@pytest.fixture
def place(store, kek, tmp_path, request):
    def visit(_name: str, token: str) -> str | None:
        return tls_identities.published(token)

    with getattr(request, "param", AcmeCa)(tmp_path, visit) as ca:
        values = {
            "data_dir": str(tmp_path),
            "hostname": NAME,
            "web": {"listen": "127.0.0.1:8443"},
            "discover": {"allow_private": True, "ca": str(ca.trusted)},
        }
        config = from_values(values)
        yield SimpleNamespace(ca=ca, node=SimpleNamespace(config=config, kek=kek), files=TlsFiles(config, kek))


def _turn(place) -> list[str]:
    """Once around: what `keep` enqueues is done; for whom."""
    place.files.keep()
    done = []
    while job := jobs.claim("worker", kinds=[RENEW]):
        renew(place.node, job)
        jobs.done(job)
        done.append(job.payload["id"])
    return done


def test_by_acme_a_renewal_is_one_order_and_the_next_one_is_shown(place, kek):
    tls_identities.ask_by_acme(Server.CONSOLE, [NAME], f"{place.ca.root}/directory", "", kek)
    assert len(_turn(place)) == 1
    first = tls_identities.shown(Server.CONSOLE)
    assert first is not None
    assert (first.source, place.ca.orders) == (Source.ACME, 1)

    TlsIdentityRow.objects.update(due=utc_now())
    turns = [_turn(place) for _ in range(4)]
    assert [len(one) for one in turns] == [1, 1, 0, 0]
    second = tls_identities.shown(Server.CONSOLE)
    assert second is not None
    assert (second.id != first.id, place.ca.orders, len(tls_identities.list_identities())) == (True, 2, 1)
    chain = x509.load_pem_x509_certificate(place.node.config.console_certificate.read_bytes())
    assert chain.public_bytes(Encoding.PEM).decode() in second.pem


@pytest.mark.parametrize("place", [WrongCa], indirect=True)
def test_a_ca_that_issues_what_cannot_be_used_is_not_asked_again_at_once(place, kek):
    tls_identities.ask_by_acme(Server.CONSOLE, [NAME], f"{place.ca.root}/directory", "", kek)
    assert [len(_turn(place)) for _ in range(3)] == [1, 0, 0]
    assert place.ca.orders == 1
    asked = next(one for one in tls_identities.list_identities() if one.asked)
    assert "belongs to the private key" in asked.problem


def test_the_first_one_of_the_console_ends_no_request(place, kek):
    tls_identities.ask(Server.CONSOLE, [NAME], kek)
    place.files.keep()
    assert [one.asked for one in tls_identities.list_identities()] == [False, True]


def test_without_its_kek_a_node_says_once_that_it_cannot(place, kek, caplog):
    class Broken:
        def seal(self, *_: object, **__: object) -> bytes:
            raise KekMissingError("no KEK")

        open = seal

    files = TlsFiles(place.node.config, Broken())
    for _ in range(3):
        files.keep()
    assert [record.levelname for record in caplog.records].count("ERROR") == 1
