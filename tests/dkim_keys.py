"""DKIM keys for tests, made once, and the DNS that publishes them."""

from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from mailseal.dkim.record import record_name, record_text
from mailseal.dkim.sign import DkimKey
from mailseal.errors import TransientError


@cache
def rsa_key(bits=2048):
    return rsa.generate_private_key(65537, bits)


@cache
def ed25519_key():
    return ed25519.Ed25519PrivateKey.generate()


@cache
def ec_key():
    return ec.generate_private_key(ec.SECP256R1())


def both_keys(domain="example.com"):
    return [DkimKey(domain, "r", rsa_key()), DkimKey(domain, "e", ed25519_key())]


class Records:
    """TXT records by name, and what was asked. `broken`: the name server cannot say."""

    def __init__(self, *keys):
        self.texts = {record_name(one.domain, one.selector): [record_text(one.key)] for one in keys}
        self.asked = []
        self.broken = set()

    def __call__(self, name):
        self.asked.append(name)
        if name in self.broken:
            raise TransientError("no answer")
        return self.texts.get(name, [])
