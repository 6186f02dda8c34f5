"""One certificate for a whole company: mail to everybody there is encrypted to it, and what it signs is theirs."""

from harness import openssl
from harness.client import send
from harness.gateway import Gateway
from harness.mail import CANARY, entity, envelope_header, mail
from harness.sink import Sink
from harness.site import people

ANNA, CARL = "anna@alpha.example", "carl@alpha.example"
EVE = "eve@company.example"
OUTSIDE = "127.0.0.9"

Smtp = tuple[Gateway, int, Sink, Sink]


def test_from_domain_to_domain(smtp: Smtp) -> None:
    gateway, port, inside, outside = smtp
    theirs = people().issue("domain-confidentiality-authority@company.example", key="rsa2048")
    ours = people().issue("domain-signing-authority@alpha.example", key="rsa2048")
    gateway.import_certificates([theirs], own=[ours])
    gateway.set("mode", "mandatory", "--domain", "company.example")
    gateway.wait_until_noticed()

    send(port, CARL, [EVE], mail(CARL, EVE))
    assert not outside.mails, "nobody has chosen the certificate for the domain yet"

    gateway.cli("cert", "use", theirs.certificate.fingerprint, "company.example")
    gateway.cli("cert", "use", ours.certificate.fingerprint, "alpha.example")
    gateway.wait_until_noticed()

    send(port, CARL, [EVE], mail(CARL, EVE))
    [got] = outside.wait(1)
    assert CANARY not in got.octets
    assert CANARY in openssl.verify(openssl.decrypt(got.octets, theirs), people().root)

    answer = envelope_header(EVE, CARL) + openssl.encrypt(openssl.sign(entity(), theirs), [ours])
    send(port, EVE, [CARL], answer, source=OUTSIDE)
    [got] = inside.wait(1)
    assert CANARY in got.body
    assert got.fields("X-Mailseal-Signed-By-Sender") == ["yes"]

    # The same certificate says nothing about people of another company.
    inside.clear()
    forged = envelope_header("olga@out.example", CARL) + openssl.encrypt(openssl.sign(entity(), theirs), [ours])
    send(port, "olga@out.example", [CARL], forged, source=OUTSIDE)
    [got] = inside.wait(1)
    assert got.fields("X-Mailseal-Signed-By-Sender") == ["no"]

    gateway.cli("cert", "use", "--stop", ours.certificate.fingerprint, "alpha.example")
