"""Sequoia, by pysequoia, behind one adapter: a second opinion on certificates, and its policy on data signatures.

It holds the GIL, sets no limit to compressed data, and decrypts RSA in a way that can be timed. So it gets certificates
that we have read and stripped, and plain data, and never a secret. Its one error has a text that is of no use to us.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import rsa
from pysequoia import Cert, Sig, verify

from mailseal.mail.message import Octets
from mailseal.openpgp.component import Component, PgpCertificate
from mailseal.openpgp.key import PublicKey
from mailseal.openpgp.packet import Tag, write_packet
from mailseal.openpgp.signature import Signature
from mailseal.openpgp.validity import expiry, why_dead

MAX_RSA_BITS = 4096


class _RefusedError(Exception):
    """Sequoia does not agree."""


def can_judge(certificate: PgpCertificate, component: Component) -> bool:
    """Whether it can verify by the primary key and by this one: not by Brainpool, nor by RSA beyond 4,096 bits.

    What it cannot judge it does not dispute either: then our own judgement stands alone.
    """
    return not any(_is_beyond(one) for one in (certificate.primary.public, component.public))


def _is_beyond(public: PublicKey) -> bool:
    if isinstance(public.key, rsa.RSAPublicKey):
        return public.key.key_size > MAX_RSA_BITS
    return public.curve is not None and public.curve.name.startswith("brainpool")


def disputes(certificate: PgpCertificate) -> bool:
    """Whether it takes a certificate that we would use now for revoked, for broken, or for expiring earlier.

    It goes by the clock of the machine, so this is asked when a certificate is read, as of now.
    """
    now = datetime.now(UTC)
    if why_dead(certificate, now) is not None or not can_judge(certificate, certificate.primary):
        return False
    ours = expiry(certificate, now)
    try:
        with _refusals():
            other = Cert.from_bytes(certificate.octets)
            ends = other.expiration
            return (
                other.fingerprint != certificate.fingerprint
                or other.is_revoked
                or (ends is not None and (ours is None or ends < ours))
            )
    except _RefusedError:
        return True


def verifies(content: Octets, signature: Signature, certificate: PgpCertificate, component: Component) -> bool:
    """Whether its policy takes this for a good signature over the content by that key of the certificate, as of now."""
    try:
        with _refusals():
            theirs = Cert.from_bytes(certificate.octets)
            packet = Sig.from_bytes(write_packet(Tag.SIGNATURE, signature.octets))
            result = verify(bytes=bytes(content), store=lambda _: [theirs], signature=packet)
            made = (certificate.fingerprint, component.fingerprint)
            return any((one.certificate, one.signing_key) == made for one in result.valid_sigs)
    except _RefusedError:
        return False


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError, TypeError, OverflowError):
        raise _RefusedError from None
    except BaseException as error:
        # A panic in Rust comes as one that even `except Exception` lets through.
        if type(error).__name__ != "PanicException":
            raise
        raise _RefusedError from None
