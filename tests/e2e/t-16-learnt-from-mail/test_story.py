"""A partner's signed mail brings his certificate and says what his program reads: from then on he gets just that."""

from harness import openssl
from harness.client import send
from harness.gateway import Gateway
from harness.mail import CANARY, entity, envelope_header, mail
from harness.sink import Sink
from harness.site import people
from harness.waiting import wait_until
from mailseal.mail.mime import parse
from mailseal.smime.decrypt import read_enveloped
from mailseal.smime.form import SignatureForm
from mailseal.smime.message import read_cms, signed_entity
from mailseal.smime.sign import SigningIdentity

ANNA = "anna@alpha.example"
OUTSIDE = "127.0.0.9"

Smtp = tuple[Gateway, int, Sink, Sink]


def of_a_gateway(identity: object) -> bytes:
    """As another Mailseal signs: it reads all that we can write."""
    signer = SigningIdentity(identity.certificate, identity.key, tuple(identity.chain))
    return b"".join(signed_entity(entity(), signer, SignatureForm(), people().span["not_before"]))


def arrive(smtp: Smtp, address: str, identity: object, signed: bytes) -> dict[str, object]:
    """A signed mail to Anna, and the candidate that is made of its certificate, judged."""
    gateway, port, _, _ = smtp
    send(port, address, [ANNA], envelope_header(address, ANNA) + signed, source=OUTSIDE)
    fingerprint = identity.certificate.fingerprint

    def judged() -> dict[str, object] | None:
        rows = gateway.rows("cert", "list", "--address", address)
        return next((row for row in rows if row["fingerprint"] == fingerprint and row["trusted"]), None)

    return wait_until(judged, every=0.2)


def answer(smtp: Smtp, address: str) -> tuple[bytes, dict[str, str]]:
    """What Anna's mail to the partner looks like outside, and the details of its log row."""
    gateway, port, _, outside = smtp
    outside.clear()
    send(port, ANNA, [address], mail(ANNA, address))
    [got] = outside.wait(1)
    row = gateway.wait_for_log(1, "--recipient", address)[0]
    return got.octets, dict(row["details"])


def test_a_gateway_gets_the_strongest_and_a_plain_program_what_it_knows(smtp: Smtp) -> None:
    gateway_user = people().issue("petra@partner.example", key="rsa2048")
    plain_user = people().issue("paul@partner.example", key="rsa2048")

    arrive(smtp, "petra@partner.example", gateway_user, of_a_gateway(gateway_user))
    octets, details = answer(smtp, "petra@partner.example")
    assert details["algorithm"] == "aes256-gcm oaep-sha256"
    assert details["signature"] == "rsa-pss sha512"
    assert read_enveloped(read_cms(parse(octets).root)).integrity == "authenticated"
    assert CANARY in openssl.decrypt(octets, gateway_user)

    arrive(smtp, "paul@partner.example", plain_user, openssl.sign(entity(), plain_user))
    octets, details = answer(smtp, "paul@partner.example")
    assert details["algorithm"] == "aes256-cbc pkcs1v15"
    assert CANARY in openssl.verify(openssl.decrypt(octets, plain_user), people().root)


def test_another_key_for_a_known_address_is_flagged_and_may_have_to_be_accepted(smtp: Smtp) -> None:
    gateway, _, _, _ = smtp
    address = "pia@partner.example"
    first, second = people().issue(address, key="p256"), people().issue(address, key="p384")
    assert not arrive(smtp, address, first, of_a_gateway(first))["conflict"]
    assert arrive(smtp, address, second, of_a_gateway(second))["conflict"]
    assert [row["fingerprint"] for row in gateway.rows("cert", "list", "--conflicts")] == [
        second.certificate.fingerprint
    ]

    gateway.set("new_key_for_known_address", "unusable")
    gateway.wait_until_noticed()
    octets, _ = answer(smtp, address)
    assert openssl.can_decrypt(octets, first)
    assert not openssl.can_decrypt(octets, second)

    gateway.cli("cert", "accept", second.certificate.fingerprint)
    gateway.wait_until_noticed()
    octets, _ = answer(smtp, address)
    assert openssl.can_decrypt(octets, second)
    gateway.cli("settings", "unset", "new_key_for_known_address")
