"""A big population for measuring: N senders with RSA-2048 keys of their own, N recipients with RSA-2048 certificates.

Making 20,000 RSA keys takes a quarter of an hour, so here a few hundred primes are combined in pairs: every modulus is
different and as costly as a real one, and none of them is secret. For measuring only.

The first of the recipients have written to the first of the senders, signed and encrypted: mails for `mails_to_open`.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import incoming
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mailseal.config import load
from mailseal.keys.kek_ring import KekRing
from mailseal.keys.software import serialize
from mailseal.smime.certificate import Revocation, Verdict, parse_certificate
from mailseal.store import certificate_rows, domains, private_keys, setup, trust
from mailseal.store.keks import open_ring
from mailseal.store.models import CertificateRow, CertificateUse, KnownAddress, PrivateKeyRow
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import run

INSIDE, OUTSIDE = "inside.test", "outside.test"
E = 65537
BATCH = 500


def keys(primes: Sequence[int], bits: int = 2048) -> Iterator[rsa.RSAPrivateKey]:
    for p, q in itertools.combinations(primes, 2):
        if (p * q).bit_length() != bits:
            continue
        d = pow(E, -1, (p - 1) * (q - 1))
        numbers = rsa.RSAPrivateNumbers(
            p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(E, p * q)
        )
        yield numbers.private_key(unsafe_skip_rsa_key_validation=True)


def primes(count: int, bits: int = 2048) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        numbers = rsa.generate_private_key(E, bits).private_numbers()
        found += [numbers.p, numbers.q]
    return found


class Authority:
    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Bench CA")])
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.certificate = (
            self._builder(self.name, self.key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )

    def _builder(self, subject: x509.Name, key: object) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - timedelta(days=1))
            .not_valid_after(self.now + timedelta(days=365))
        )

    def issue_pem(self, email: str, key: rsa.RSAPrivateKey) -> bytes:
        return x509.load_der_x509_certificate(self.issue(email, key)).public_bytes(Encoding.PEM)

    def issue(self, email: str, key: rsa.RSAPrivateKey) -> bytes:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, email)])
        usage = dict.fromkeys(
            (
                "data_encipherment",
                "content_commitment",
                "key_agreement",
                "key_cert_sign",
                "crl_sign",
                "encipher_only",
                "decipher_only",
            ),
            False,
        )
        certificate = (
            self._builder(subject, key.public_key())
            .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(email)]), critical=False)
            .add_extension(x509.KeyUsage(digital_signature=True, key_encipherment=True, **usage), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return certificate.public_bytes(Encoding.DER)


def make(config_path: Path, count: int) -> Path:
    """Fill the store behind a configuration; done once, a mark says so. Returns the file with mails to open."""
    config = load(config_path, os.environ)
    mark, mails = (config.data_dir / f"population-{count}.{end}" for end in ("json", "mails"))
    if mark.exists():
        return mails
    setup(config)
    kek = open_ring(config.keys.kek)
    domains.add(INSIDE)
    authority = Authority()
    trust.import_roots([parse_certificate(authority.certificate.public_bytes(Encoding.DER))])
    supply = keys(primes(max(40, int((4 * count) ** 0.5) + 40)))
    incoming.write(mails, people(authority, supply, count, kek))
    run(lambda: bump(Scope.KEYS))
    mark.write_text(json.dumps({"count": count}))
    return mails


def people(
    authority: Authority, supply: Iterator[rsa.RSAPrivateKey], count: int, kek: KekRing
) -> Iterator[tuple[str, str, bytes]]:
    """Make and store them; yields the mails of the first ones."""
    batch: list[tuple[bytes, rsa.RSAPrivateKey | None]] = []
    for number in range(count):
        inside, outside = f"s{number}@{INSIDE}", f"r{number}@{OUTSIDE}"
        key, other = next(supply), next(supply)
        reader, writer = authority.issue(inside, key), authority.issue(outside, other)
        if number < incoming.MAILS:
            yield outside, inside, incoming.smime_mail(writer, other, reader)
        batch += [(reader, key), (writer, None)]
        if len(batch) >= BATCH or number == count - 1:
            run(partial(insert, batch, kek))
            print(f"\r{number + 1} of {count} pairs of RSA-2048 certificates", end="", flush=True)
            batch = []
    print()


def insert(batch: Sequence[tuple[bytes, rsa.RSAPrivateKey | None]], kek: KekRing) -> None:
    """Rows with a verdict that the import of that many certificates would take minutes to find."""
    now = datetime.now(UTC)
    rows, uses, sealed = [], [], []
    for der, key in batch:
        certificate = parse_certificate(der)
        if key is not None:
            sealed.append(sealed_row(key, certificate.spki_sha256, certificate.key_algorithm, kek))
        verdict = Verdict(
            trusted=True,
            reason=None,
            valid_from=certificate.not_before,
            valid_until=certificate.not_after,
            revocation=Revocation.GOOD,
            revocation_until=now + timedelta(days=300),
        )
        values = certificate_rows.columns(certificate) | certificate_rows.verdict_values(verdict, now, candidate=False)
        row = CertificateRow(
            fingerprint=certificate.fingerprint, purpose="end-entity", candidate=False, bound=key is not None, **values
        )
        rows.append(row)
        uses += [
            CertificateUse(certificate=row, owner=owner, kind=use)
            for owner, use in certificate_rows.address_uses(certificate)
        ]
    CertificateRow.objects.bulk_create(rows)
    CertificateUse.objects.bulk_create(uses)
    PrivateKeyRow.objects.bulk_create(sealed)
    KnownAddress.objects.bulk_create([KnownAddress(key=one.owner, text=one.owner) for one in uses])


def sealed_row(key: rsa.RSAPrivateKey, spki: str, algorithm: str, kek: KekRing) -> PrivateKeyRow:
    """As `private_keys.keep` makes it, which asks for each key whether it is there."""
    sealed = kek.seal(serialize(key), identity=private_keys.identity(spki))
    return PrivateKeyRow(spki_sha256=spki, kek_id=kek.id, sealed=sealed, algorithm=algorithm)
