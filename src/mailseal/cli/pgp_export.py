"""`mailseal pgp export`: public keys, or one with its secret keys under a password."""

from collections.abc import Sequence
from pathlib import Path

import click

from mailseal.cli.errors import CommandError
from mailseal.cli.export_file import PRIVATE_MODE, PUBLIC_MODE, destination_of, new_password, write
from mailseal.cli.session import Session, pass_session
from mailseal.openpgp.export import armored_public, armored_secret
from mailseal.store import pgp_admin, private_keys
from mailseal.store.audit import record
from mailseal.store.keks import open_ring
from mailseal.store.pgp_admin import PgpInfo
from mailseal.store.private_keys import Sealing

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("export")
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@click.option("--secret", is_flag=True, help="With the secret keys, which a password locks.")
@click.option("--binary", is_flag=True, help="Not armored; of public keys only.")
@click.option("--password-file", type=FILE, help="A file with the password for the secret keys.")
@click.option("--output", type=FILE, help="The file to make; else standard output.")
@pass_session
def export(
    session: Session,
    *,
    keys: Sequence[str],
    secret: bool,
    binary: bool,
    password_file: Path | None,
    output: Path | None,
) -> None:
    """Export OpenPGP keys, armored.

    A file is never overwritten, and one with secret keys can be read by its owner alone.
    """
    if secret and binary:
        raise CommandError("secret keys are written armored", "leave out --binary")
    destination = destination_of(output, is_text=not binary)
    password = new_password(password_file).decode() if secret else ""
    config = session.open_store(for_now=True)
    infos = [pgp_admin.show(key) for key in keys]
    if secret:
        octets = _with_secret(infos, open_ring(config.keys.kek), password)
    else:
        certificates = {info.fingerprint: info.certificate for info in infos}.values()
        octets = b"".join(one.octets for one in certificates) if binary else armored_public(certificates)
    write(octets, destination, mode=PRIVATE_MODE if secret else PUBLIC_MODE)


def _with_secret(infos: Sequence[PgpInfo], sealing: Sealing, password: str) -> bytes:
    if len(infos) != 1:
        raise CommandError("secret keys are exported one by one", "export each to a file of its own")
    (info,) = infos
    if not info.keys:
        raise CommandError("its secret key is not here", "without --secret the public key alone is exported")
    held = [one.public for one in info.certificate.components if one.fingerprint in info.keys]
    keys = {public.fingerprint: private_keys.open_key(public.spki_sha256, sealing) for public in held}
    record("pgp", "export-secret-key", info.fingerprint, after={"keys": sorted(keys)})
    return armored_secret(info.certificate, keys, password)
