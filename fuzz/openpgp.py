"""Fuzz the readers of OpenPGP: `python fuzz/openpgp.py [--seconds N]`. Prints the count of inputs.

Packets, armor, keys, messages and all that is in them. Starts from real structures. Anything raised but PgpError stops
the run with the input that did it; so does a message that yields something else than was put in.
"""

import sys
from pathlib import Path

import atheris
from driver import fuzz

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

with atheris.instrument_imports(include=["mailseal.openpgp"]):
    from mailseal.openpgp.armor import KINDS, MESSAGE, PUBLIC_KEY, read_armor, read_cleartext, write_armor
    from mailseal.openpgp.errors import PgpError
    from mailseal.openpgp.inner import read_inner, write_compressed
    from mailseal.openpgp.key import read_public_key
    from mailseal.openpgp.message import read_encrypted
    from mailseal.openpgp.packet import Packet, read_packets
    from mailseal.openpgp.secret_key import read_secret_key, write_secret_key
    from mailseal.openpgp.session_key import Pkesk, SessionKey, open_pkesk
    from mailseal.openpgp.signature import read_signature
    from mailseal.openpgp.work import Work
    from pgp_samples import CONTENT, KINDS_V4, LITERAL, PASSWORD, keys, reader, samples

LIMIT_BYTES = 1_000_000
KEYS = [*keys(*KINDS_V4), *keys("x25519", "rsa1024", version=6)]
SUBSTITUTES = (SessionKey(bytes(32), 9), SessionKey(bytes(32)))


def _work() -> "Work":
    return Work(hashed_octets=100_000, argon2_kib=64)


def _message(octets: bytes) -> None:
    message = read_encrypted(octets)
    for one in message.recipients[:4]:
        _unwrap(one)
    opened = message.open(KEYS, [PASSWORD], max_bytes=LIMIT_BYTES, work=_work())
    assert opened.inner.literal == CONTENT, "another content than was encrypted"


def _unwrap(pkesk: "Pkesk") -> None:
    """With keys that nobody named."""
    for public, private in KEYS:
        try:
            open_pkesk(pkesk, public, private, SUBSTITUTES[pkesk.version == 6])
        except PgpError:
            continue


def _keys(octets: bytes) -> None:
    for packet in read_packets(octets):
        for read in (_secret, lambda packet: read_public_key(packet.body), lambda packet: read_signature(packet.body)):
            try:
                read(packet)
            except PgpError:
                continue


def _secret(packet: "Packet") -> None:
    read_secret_key(packet, PASSWORD, _work())


READERS = (
    _keys,
    _message,
    lambda octets: read_inner(octets, LIMIT_BYTES),
    lambda octets: _message(read_armor(octets).octets),
    lambda octets: read_armor(octets, KINDS),
    read_cleartext,
)


def one_input(octets: bytes) -> None:
    """Give one input to every reader."""
    for read in READERS:
        try:
            read(octets)
        except PgpError:
            continue


def seeds() -> dict[str, bytes]:
    """One of each kind."""
    found = dict(samples())
    found["armor"] = b"".join(write_armor(MESSAGE, [found["to-cv25519"]]))
    found["key"] = b"".join(write_armor(PUBLIC_KEY, [reader("cv25519")[0].octets]))
    for kind, version in (("cv25519", 4), ("rsa1024", 4), ("x25519", 6)):
        body = write_secret_key(*reader(kind, version), None)
        found[f"secret-{kind}"] = b"\xc5\xff" + len(body).to_bytes(4, "big") + body
    found["literal"] = LITERAL
    found["compressed"] = b"".join(write_compressed([LITERAL], 1))
    folder = ROOT / "tests/vectors/openpgp"
    for path in sorted(folder.glob("*/*.asc")):
        found[f"{path.parent.name}-{path.stem}"] = path.read_bytes()
    return found


if __name__ == "__main__":
    fuzz("openpgp", __doc__, one_input, seeds())
