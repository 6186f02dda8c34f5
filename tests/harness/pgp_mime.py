"""Mails of OpenPGP as mail programs write and read them (RFC 3156), by hand and by Python's `email`."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage

from harness.mail import envelope_header
from harness.openssl import crlf


def parsed(octets: bytes) -> EmailMessage:
    return email.message_from_bytes(octets, policy=email.policy.default)


# ---- read


def encrypted_part(octets: bytes) -> bytes:
    """The armored message in a mail that is multipart/encrypted as RFC 3156 §4 wants it."""
    mail = parsed(octets)
    assert mail.get_content_type() == "multipart/encrypted", mail.get_content_type()
    assert mail.get_param("protocol") == "application/pgp-encrypted"
    version, message = mail.iter_parts()
    assert version.get_content_type() == "application/pgp-encrypted"
    assert version.get_payload(decode=True).split() == [b"Version:", b"1"]
    assert message.get_content_type() == "application/octet-stream"
    return message.get_payload(decode=True)


def signed_parts(octets: bytes) -> tuple[bytes, bytes]:
    """The signed octets and the armored signature of multipart/signed (RFC 3156 §5)."""
    mail = parsed(octets)
    assert mail.get_content_type() == "multipart/signed", mail.get_content_type()
    assert mail.get_param("protocol") == "application/pgp-signature"
    assert mail.get_param("micalg") in ("pgp-sha256", "pgp-sha384", "pgp-sha512")
    _, signature = mail.iter_parts()
    assert signature.get_content_type() == "application/pgp-signature"
    delimiter = b"\r\n--" + mail.get_boundary().encode()
    content = octets.split(delimiter)[1].partition(b"\r\n")[2]
    return content, signature.get_payload(decode=True)


# ---- write


def encrypted(armored: bytes) -> bytes:
    """multipart/encrypted, as Thunderbird writes it."""
    return (
        b'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted";\r\n boundary="------------enc"\r\n'
        b"\r\nThis is an OpenPGP/MIME encrypted message (RFC 4880 and 3156)\r\n--------------enc\r\n"
        b"Content-Type: application/pgp-encrypted\r\nContent-Description: PGP/MIME version identification\r\n\r\n"
        b"Version: 1\r\n\r\n--------------enc\r\n"
        b'Content-Type: application/octet-stream; name="encrypted.asc"\r\n'
        b'Content-Description: OpenPGP encrypted message\r\nContent-Disposition: inline; filename="encrypted.asc"\r\n'
        b"\r\n" + crlf(armored) + b"\r\n--------------enc--\r\n"
    )


def signed(entity: bytes, armored: bytes, micalg: str = "pgp-sha512", boundary: bytes = b"=-=sig") -> bytes:
    """multipart/signed, as mutt writes it; the signature is over the entity as it is."""
    return (
        b'Content-Type: multipart/signed; micalg=%b; protocol="application/pgp-signature"; boundary="%b"\r\n\r\n'
        b"--%b\r\n%b\r\n--%b\r\n"
        b'Content-Type: application/pgp-signature; name="signature.asc"\r\n\r\n%b\r\n--%b--\r\n'
        % (micalg.encode(), boundary, boundary, entity, boundary, crlf(armored), boundary)
    )


def mangled(armored: bytes) -> bytes:
    """What Exchange makes of multipart/encrypted."""
    return (
        b'Content-Type: multipart/mixed; boundary="_003_ex"\r\n\r\n--_003_ex\r\n'
        b'Content-Type: text/plain; charset="us-ascii"\r\n\r\n\r\n--_003_ex\r\n'
        b'Content-Type: application/pgp-encrypted; name="ATT00001"\r\nContent-Description: ATT00001\r\n'
        b'Content-Disposition: attachment; filename="ATT00001"; size=12\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        b"VmVyc2lvbjogMQ0K\r\n\r\n--_003_ex\r\n"
        b'Content-Type: application/octet-stream; name="encrypted.asc"\r\n'
        b'Content-Disposition: attachment; filename="encrypted.asc"\r\n\r\n' + crlf(armored) + b"\r\n--_003_ex--\r\n"
    )


def mixed(*parts: bytes, boundary: bytes = b"=_mixed") -> bytes:
    body = b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts)
    return b'Content-Type: multipart/mixed; boundary="%b"\r\n\r\n%b--%b--\r\n' % (boundary, body, boundary)


def mail(sender: str, to: str, entity: bytes, *, subject: str = "Quarterly numbers", fields: bytes = b"") -> bytes:
    """A mail made of an entity."""
    return envelope_header(sender, to, subject=subject) + fields + b"MIME-Version: 1.0\r\n" + entity
