"""The data of NIST PKITS out of `cryptography_vectors`, as our engine and `openssl verify` see it."""

from __future__ import annotations

import ssl
import subprocess
from base64 import encodebytes
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import cryptography_vectors
from pyhanko_certvalidator import PKIXValidationParams

from mailseal.smime import path
from mailseal.smime.certificate import Certificate, CertificateError, Revocation, parse_certificate
from mailseal.smime.crl_issuers import trusted_crls
from mailseal.smime.revocation import CrlError, CrlSet, read_crl, verify_crl

FOLDER = Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data"
AT = datetime(2020, 1, 1, tzinfo=UTC)
"""Inside the validity of everything that NIST means to be valid."""
ROOT = "TrustAnchorRootCertificate"
_POLICY = "2.16.840.1.101.3.2.1.48."
_ANY_POLICY = "2.5.29.32.0"
NO_GRACE = timedelta(0)


@dataclass(frozen=True)
class Case:
    """One row of `pkits.txt`: a test of the document under one of its settings."""

    number: str
    certificate: str
    settings: tuple[str, ...]
    expected: str

    def __str__(self) -> str:
        return "-".join((self.number, self.certificate, *self.settings))


def cases() -> tuple[Case, ...]:
    found = []
    for line in Path(__file__).with_name("pkits.txt").read_text().splitlines():
        if not line.startswith("#"):
            number, certificate, settings, expected = line.split()
            found.append(Case(number, certificate, () if settings == "-" else tuple(settings.split("+")), expected))
    return tuple(found)


@cache
def certificates() -> Mapping[str, Certificate]:
    """All that can be read, by the name of the file. All of them are in the pool of every test, as in a directory."""
    found = {}
    for file in sorted((FOLDER / "certs").glob("*.crt")):
        try:
            found[file.stem] = parse_certificate(file.read_bytes())
        except CertificateError:
            continue
    return found


@cache
def crls() -> CrlSet:
    pool = tuple(certificates().values())
    usable = []
    for file in sorted((FOLDER / "crls").glob("*.crl")):
        try:
            crl = read_crl(file.read_bytes(), partial=True)
            verify_crl(crl, pool)
        except CrlError:
            continue
        usable.append(crl)
    return trusted_crls(usable, pool, [certificates()[ROOT]], AT, crl_grace=NO_GRACE)


def policies(settings: Iterable[str]) -> PKIXValidationParams:
    wanted = frozenset(_POLICY + one[1:] for one in settings if one[0] == "P")
    return PKIXValidationParams(
        user_initial_policy_set=wanted or frozenset({"any_policy"}),
        initial_explicit_policy="explicit" in settings,
        initial_policy_mapping_inhibit="inhibit-mapping" in settings,
        initial_any_policy_inhibit="inhibit-any" in settings,
    )


def judged(name: str) -> str:
    """What our engine says, in the words of the table."""
    known = certificates()
    if name not in known:
        return "unreadable"
    verdict = path.validate(known[name], known.values(), [known[ROOT]], crls(), AT, crl_grace=NO_GRACE)
    if not verdict.trusted:
        return verdict.reason.value.removeprefix("certificate-")
    if verdict.revocation is not Revocation.GOOD:
        return "revoked" if verdict.revocation is Revocation.REVOKED else "revocation-unknown"
    if verdict.valid_from > AT:
        return "not-yet-valid"
    return "valid" if verdict.valid_until >= AT else "expired"


def openssl_accepts(folder: Path, names: Iterable[str], settings: Iterable[str]) -> set[str]:
    """Those of the certificates that `openssl verify` accepts under the settings, by one call."""
    authorities, lists = folder / "authorities.pem", folder / "crls.pem"
    if not authorities.exists():
        some = (file for file in sorted((FOLDER / "certs").glob("*.crt")) if not file.stem.endswith("EE"))
        authorities.write_text("".join(ssl.DER_cert_to_PEM_cert(file.read_bytes()) for file in some))
        lists.write_text("".join(_crl_pem(file.read_bytes()) for file in sorted((FOLDER / "crls").glob("*.crl"))))
    root = _pem_file(folder, ROOT)
    # The keys and digests of 2010 are all right here: the second opinion is about paths.
    options = ["-auth_level", "0", "-no-CApath", "-no-CAstore", "-crl_check_all", "-extended_crl", "-use_deltas"]
    options += ["-attime", str(int(AT.timestamp())), "-policy_check"]
    wanted = [_POLICY + one[1:] for one in settings if one[0] == "P"]
    for policy in wanted or [_ANY_POLICY]:
        options += ["-policy", policy]
    flags = {"explicit": "-explicit_policy", "inhibit-mapping": "-inhibit_map", "inhibit-any": "-inhibit_any"}
    options += [flags[one] for one in settings if one in flags]
    files = {str(_pem_file(folder, name)): name for name in names}
    done = subprocess.run(
        ["openssl", "verify", *options, "-CAfile", root, "-untrusted", authorities, "-CRLfile", lists, *files],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    ending = ": OK"
    return {files[line.removesuffix(ending)] for line in done.stdout.splitlines() if line.endswith(ending)}


def _pem_file(folder: Path, name: str) -> Path:
    file = folder / f"{name}.pem"
    if not file.exists():
        file.write_text(ssl.DER_cert_to_PEM_cert((FOLDER / "certs" / f"{name}.crt").read_bytes()))
    return file


def _crl_pem(der: bytes) -> str:
    return f"-----BEGIN X509 CRL-----\n{encodebytes(der).decode()}-----END X509 CRL-----\n"
