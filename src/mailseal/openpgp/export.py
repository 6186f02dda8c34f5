"""Certificates for others to read (RFC 9580 §6, §10.1, §10.2): armored, without secrets or with all of them locked."""

from collections.abc import Iterable, Iterator, Mapping

from mailseal.keys import PrivateKey
from mailseal.openpgp.algorithms import CipherId, HashId
from mailseal.openpgp.armor import PRIVATE_KEY, PUBLIC_KEY, write_armor
from mailseal.openpgp.component import PgpCertificate
from mailseal.openpgp.errors import PgpError, malformed
from mailseal.openpgp.key import read_public_key
from mailseal.openpgp.packet import Tag, read_packets, write_packet
from mailseal.openpgp.secret_key import write_secret_key
from mailseal.policy.reason import ReasonCode

_ELSEWHERE = bytes((255, CipherId.AES128, 101, HashId.SHA1)) + b"GNU\1"
"""GnuPG's way to say, in place of a secret, that it is kept elsewhere; other programs read it as well."""


def armored_public(certificates: Iterable[PgpCertificate]) -> bytes:
    """Certificates in one block, as `gpg --export --armor` writes them."""
    found = list(certificates)
    checksum = any(one.primary.public.version == 4 for one in found)
    return b"".join(write_armor(PUBLIC_KEY, [one.octets for one in found], checksum=checksum))


def armored_secret(certificate: PgpCertificate, keys: Mapping[str, PrivateKey], password: str) -> bytes:
    """The certificate with its secret keys, by the fingerprints of the components, each locked by the password.

    Raises PgpError for an empty password, or without any key of the certificate.
    """
    if not password:
        raise malformed("secret keys are only written with a password")
    if not any(one.fingerprint in keys for one in certificate.components):
        raise PgpError(ReasonCode.KEY_NOT_FOUND, "there is no secret key of this certificate")
    packets = b"".join(_packets(certificate, keys, password))
    return b"".join(write_armor(PRIVATE_KEY, [packets], checksum=certificate.primary.public.version == 4))


def _packets(certificate: PgpCertificate, keys: Mapping[str, PrivateKey], password: str) -> Iterator[bytes]:
    for packet in read_packets(certificate.octets):
        tag = _SECRET.get(packet.tag)
        if tag is None:
            yield write_packet(packet.tag, packet.octets)
            continue
        public = read_public_key(packet.body)
        key = keys.get(public.fingerprint)
        if key is not None:
            yield write_packet(tag, write_secret_key(public, key, password, tag))
        elif public.version == 4:
            yield write_packet(tag, public.octets + _ELSEWHERE)
        elif packet.tag == Tag.PUBLIC_SUBKEY:
            yield write_packet(packet.tag, packet.octets)
        else:
            raise PgpError(ReasonCode.KEY_NOT_FOUND, "there is no secret primary key of this certificate")


_SECRET: dict[int, Tag] = {Tag.PUBLIC_KEY: Tag.SECRET_KEY, Tag.PUBLIC_SUBKEY: Tag.SECRET_SUBKEY}
