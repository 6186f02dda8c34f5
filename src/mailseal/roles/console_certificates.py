"""What the console has the worker do with certificates: uploads are read here (PKCS#12, PEM, DER, PKCS#7; CRLs)."""

from collections.abc import Collection, Iterable
from io import BytesIO

from mailseal.keys import PrivateKey
from mailseal.mail.address import Address, AddressError
from mailseal.roles.console_arguments import Arguments, flag, limited_to, text
from mailseal.smime.certificate import Certificate
from mailseal.smime.importing import Member, open_file, read_certificates
from mailseal.smime.revocation import read_crl
from mailseal.store import crls, trust
from mailseal.store.acting import Acting
from mailseal.store.certificate_import import CHUNK_ROWS, CertificateImport
from mailseal.store.console_jobs import Json
from mailseal.wiring.gateway import Node

MAX_PROBLEMS = 50
MAX_SHOWN = 200


def import_certificates(node: Node, arguments: Arguments, blob: bytes, _who: Acting) -> Json:
    """`certificate-import` {password, bind_keys, domains}: certificates, with private keys, out of a file.

    Of the certificates of people who are in none of `domains` none is taken, nor a key of an authority: who looks after
    a domain vouches for nobody else. Raises ImportingError, ArgumentError.
    """
    password = text(arguments, "password", "").encode()
    domains = limited_to(arguments)
    # One that repeats a known public key opens mail: of whom, is not for who looks after a domain to say.
    bind_keys = flag(arguments, "bind_keys") and domains is None
    opened = open_file(BytesIO(blob), lambda: password)
    run = _Run(CertificateImport(lambda: node.kek, bind_keys=bind_keys), domains)
    run.take(opened.members)
    return run.result(opened.form.value)


class _Run:
    """One file, stored a transaction at a time; what came of it."""

    def __init__(self, importing: CertificateImport, domains: Collection[str] | None) -> None:
        self._importing = importing
        self._domains = domains
        self._pending: list[tuple[Certificate, PrivateKey | None]] = []
        self._problems: list[str] = []
        self._more_problems = 0
        self._new = self._seen = self._keys = 0
        self._fingerprints: dict[str, None] = {}

    def take(self, members: Iterable[Member]) -> None:
        for member in members:
            if member.problem:
                self._problem(member.problem)
            if member.certificate is not None:
                self._take(member.certificate, member.key)
            if len(self._pending) >= CHUNK_ROWS:
                self._store()
        self._store()

    def _take(self, certificate: Certificate, key: PrivateKey | None) -> None:
        if self._domains is not None and certificate.is_ca:
            key = None
        elif self._domains is not None and not all_within(_addresses(certificate), self._domains):
            self._problem(f"not of your domains: {certificate.subject}")
            return
        self._pending.append((certificate, key))

    def _store(self) -> None:
        if not self._pending:
            return
        self._new += len(self._importing.add(self._pending))
        for certificate, key in self._pending:
            self._seen += 1
            self._keys += key is not None
            if len(self._fingerprints) < MAX_SHOWN:
                self._fingerprints[certificate.fingerprint] = None
        self._pending.clear()

    def _problem(self, line: str) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(line)
        else:
            self._more_problems += 1

    def result(self, form: str) -> Json:
        finished = self._importing.finish()
        more = [f"and {self._more_problems} more"] if self._more_problems else []
        return {
            "form": form,
            "imported": self._new,
            "known": max(0, self._seen - self._new),
            "keys": self._keys,
            "waiting": finished.due,
            "problems": self._problems + more,
            "fingerprints": list(self._fingerprints),
        }


def all_within(addresses: Collection[str], domains: Collection[str]) -> bool:
    """Whether there are addresses, and all of them in these domains."""
    return bool(addresses) and all(_domain(one) in domains for one in addresses)


def _addresses(certificate: Certificate) -> Collection[str]:
    """All of them: which count is for a setting to say."""
    return (*certificate.san_emails, *certificate.subject_emails)


def _domain(address: str) -> str:
    try:
        return Address.parse(address).domain
    except AddressError:
        return ""


def import_roots(_node: Node, _arguments: Arguments, blob: bytes, _who: Acting) -> Json:
    """`root-import`: trust the CA certificates of a file; raises ImportingError, NotARootError."""
    return {"fingerprints": [info.fingerprint for info in trust.import_roots(read_certificates(blob))]}


def import_crl(_node: Node, _arguments: Arguments, blob: bytes, _who: Acting) -> Json:
    """`crl-import`: a list whose authority is stored; raises CrlError, OldCrlError."""
    return {"fingerprint": crls.import_crl(read_crl(blob)).fingerprint}


def read_fingerprints(_node: Node, _arguments: Arguments, blob: bytes, _who: Acting) -> Json:
    """`certificate-fingerprints`: those of the certificates of a file and of their public keys, for TLS policies."""
    found = [
        {"subject": one.subject, "certificate_sha256": one.fingerprint, "key_sha256": one.spki_sha256}
        for one in read_certificates(blob)[:MAX_SHOWN]
    ]
    return {"certificates": found}
