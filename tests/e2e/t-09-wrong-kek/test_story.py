"""The key that opens all keys is the wrong one: mail waits. It is not sent in clear, not refused, not lost."""

import os
from pathlib import Path

from harness import openssl
from harness.client import Client
from harness.mail import CANARY, entity, envelope_header, mail
from harness.site import Site, people, site

ANNA, BERT, OLGA, SARA = "anna@alpha.example", "bert@alpha.example", "olga@out.example", "sara@secret.example"


def test_mail_waits_until_the_right_key_is_back(need_postfix: None) -> None:
    with site("kek", start=False, top={"workers": 1}) as alpha:
        (kek,) = (alpha.gateway.data / "keks").iterdir()
        right = kek.read_bytes()
        _replace(kek, _other_key(alpha))
        alpha.gateway.start()
        _nothing_that_needs_a_key_goes(alpha)
        alpha.gateway.stop()
        _replace(kek, right)
        alpha.gateway.start()
        with Client(path=alpha.postfix.lmtp_authorised, lmtp=True) as client:
            assert client.send(ANNA, [SARA], mail(ANNA, SARA)).end[0].startswith("250")
        assert openssl.can_decrypt(alpha.outside.wait(1)[0].octets, people().sara)


def _nothing_that_needs_a_key_goes(alpha: Site) -> None:
    with Client(path=alpha.postfix.lmtp_authorised, lmtp=True) as client:
        reply = client.send(ANNA, [SARA, OLGA], mail(ANNA, f"{SARA}, {OLGA}"))
        assert [one[:3] for one in reply.end] == ["451", "451"], reply
    with Client(path=alpha.postfix.lmtp_outside, lmtp=True) as client:
        wire = envelope_header(OLGA, ANNA) + openssl.encrypt(entity(), [people().anna])
        assert client.send(OLGA, [ANNA], wire).end[0].startswith("451")
        plain = mail(OLGA, BERT)
        assert client.send(OLGA, [BERT], plain).end[0].startswith("250"), "what needs no key goes on"
    assert all(CANARY not in one.octets for one in alpha.outside.mails)
    assert not alpha.outside.mails


def _other_key(alpha: Site) -> bytes:
    """A key of the right form, made by another installation."""
    other = alpha.folder / "other.toml"
    data = alpha.folder / "other"
    other.write_text(f'data_dir = "{data}"\n')
    config, alpha.gateway.config = alpha.gateway.config, other
    try:
        alpha.gateway.cli("init")
    finally:
        alpha.gateway.config = config
    return next((data / "keks").iterdir()).read_bytes()


def _replace(kek: Path, octets: bytes) -> None:
    kek.unlink()
    descriptor = os.open(kek, os.O_WRONLY | os.O_CREAT, 0o400)
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)
