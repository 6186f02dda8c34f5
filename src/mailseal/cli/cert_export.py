"""`mailseal cert export`: certificates as PEM, DER or PKCS#7; with their private key only as PKCS#12."""

from collections.abc import Sequence
from pathlib import Path

import click

from mailseal.cli.errors import CommandError
from mailseal.cli.export_file import PRIVATE_MODE, PUBLIC_MODE, destination_of, new_password, write
from mailseal.cli.session import Session, pass_session
from mailseal.keys.kek_ring import KekRing
from mailseal.smime.certificate import Certificate, parse_certificate
from mailseal.smime.exporting import ExportingError, Profile, to_der, to_pem, to_pkcs7, to_pkcs12
from mailseal.store import certificate_admin, private_keys
from mailseal.store.audit import record
from mailseal.store.certificate_admin import CertificateInfo
from mailseal.store.certificates import chain_above
from mailseal.store.keks import open_ring

PKCS12 = "pkcs12"
_WRITERS = {"pem": to_pem, "der": to_der, "pkcs7": to_pkcs7}


@click.command("export")
@click.argument("fingerprints", nargs=-1, required=True, metavar="FINGERPRINT...")
@click.option(
    "--format", "form", type=click.Choice([*_WRITERS, PKCS12]), default="pem", show_default=True, help="Of the file."
)
@click.option("--chain", "with_chain", is_flag=True, help="Also the CA certificates above, without the root.")
@click.option(
    "--profile",
    type=click.Choice([one.value for one in Profile]),
    default=Profile.MODERN.value,
    show_default=True,
    help="How PKCS#12 is protected: legacy (3DES, SHA-1) for older Outlook and iOS.",
)
@click.option("--name", default="", help="What PKCS#12 calls it (its friendly name); else its address.")
@click.option(
    "--password-file", type=click.Path(path_type=Path, dir_okay=False), help="A file with the password of PKCS#12."
)
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file to make; else standard output."
)
@pass_session
def export(
    session: Session,
    *,
    fingerprints: Sequence[str],
    form: str,
    with_chain: bool,
    profile: str,
    name: str,
    password_file: Path | None,
    output: Path | None,
) -> None:
    """Export certificates; with --format pkcs12 one with its private key, protected by a password.

    A file is never overwritten, and one with a private key can be read by its owner alone.
    """
    destination = destination_of(output, is_text=form == "pem")
    password = new_password(password_file) if form == PKCS12 else b""
    config = session.open_store(for_now=True)
    infos = [certificate_admin.show(fingerprint) for fingerprint in fingerprints]
    chain = _chain([info.certificate for info in infos]) if with_chain else ()
    if form == PKCS12:
        octets = _with_key(infos, chain, open_ring(config.keys.kek), password, Profile(profile), name)
    else:
        octets = _WRITERS[form](tuple(dict.fromkeys((*(info.certificate for info in infos), *chain))))
    write(octets, destination, mode=PRIVATE_MODE if form == PKCS12 else PUBLIC_MODE)


def _chain(certificates: Sequence[Certificate]) -> tuple[Certificate, ...]:
    found = {der: None for one in certificates for der in chain_above(one)}
    return tuple(parse_certificate(der) for der in found)


def _with_key(
    infos: Sequence[CertificateInfo],
    chain: Sequence[Certificate],
    kek: KekRing,
    password: bytes,
    profile: Profile,
    name: str,
) -> bytes:
    if len(infos) != 1:
        raise CommandError("PKCS#12 is made of one certificate", "export each to a file of its own")
    (info,) = infos
    if not info.has_key:
        raise ExportingError("the certificate has no private key here; other formats export the certificate alone")
    key = private_keys.open_key(info.certificate.spki_sha256, kek)
    record("certificates", "export-private-key", info.fingerprint, after={"subject": info.certificate.subject})
    return to_pkcs12(info.certificate, key, chain, password, profile=profile, name=name)
