"""`mailseal message`: open, protect and explain one mail in a file. docs/message.md describes the JSON."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from mailseal.cli.errors import CommandError
from mailseal.cli.message_pgp import read_public_keys, read_secret_keys
from mailseal.cli.message_view import opened_json, show_explanations, show_opened
from mailseal.cli.output import json_option, one_of, print_json, read_file, read_password
from mailseal.cli.session import Session, pass_session
from mailseal.errors import MailsealError
from mailseal.mail.address import Address
from mailseal.mail.envelope import Origin
from mailseal.mail.message import Octets, with_crlf
from mailseal.mail.mime import ParsedMessage, parse
from mailseal.pipeline.open_path import Opened, delivered
from mailseal.policy.settings import (
    Cipher,
    Digest,
    KeyTransport,
    PgpCompression,
    PgpFormat,
    RsaSignature,
    Settings,
)
from mailseal.smime.certificate import Certificate
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.importing import ImportedKeys, read_certificates, read_pkcs12
from mailseal.smime.revocation import read_crl
from mailseal.smime.secret import Secret, SharedKey, SharedPassword
from mailseal.smime.sign import SigningIdentity
from mailseal.wiring.single import (
    Materials,
    known_by,
    known_from,
    open_one,
    protect_one,
    protect_one_by_pgp,
)

FILE = click.Path(path_type=Path, dir_okay=False)
ADDRESS_HELP = "mailbox address"


def origin_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--origin` and `--submission`."""
    origin = click.option(
        "--origin",
        type=one_of(Origin),
        help="Which listener it comes through. Default: authorised if the sender is internal.",
    )
    submission = click.option("--submission", is_flag=True, help="It is handed in by a user who has logged in.")
    return origin(submission(function))


@click.group()
def message() -> None:
    """Open, protect and explain single mails."""


@message.command("open")
@click.argument("file", type=FILE)
@click.option("--key", "keys", type=FILE, multiple=True, help="PKCS#12 file with a private key. May be repeated.")
@click.option("--pgp-key", "pgp_keys", type=FILE, multiple=True, help="File with secret OpenPGP keys. May be repeated.")
@click.option(
    "--password-file",
    "passwords",
    type=FILE,
    multiple=True,
    help="Its password, in the order of --key, then of --pgp-key; one for all.",
)
@click.option(
    "--pgp-cert", "pgp_certificates", type=FILE, multiple=True, help="File with OpenPGP keys that are trusted."
)
@click.option("--trust", "roots", type=FILE, multiple=True, help="Trusted root certificates (PEM or DER).")
@click.option("--cert", "certificates", type=FILE, multiple=True, help="More certificates, known but not trusted.")
@click.option("--crl", "crls", type=FILE, multiple=True, help="Revocation list of one of these authorities.")
@click.option(
    "--smime-password-file",
    "shared_passwords",
    type=FILE,
    multiple=True,
    help="Password that the mail is for.",
)
@click.option(
    "--smime-kek-file", "shared_keys", type=FILE, multiple=True, help="Key agreed beforehand (KEK), as hex digits."
)
@click.option("--at", "at_text", metavar="TIME", help="Judge as of this time (ISO 8601). Default: now.")
@click.option("--store", "use_store", is_flag=True, help="Use the keys and certificates of the gateway.")
@click.option("--to", "reader", metavar="ADDRESS", help="With --store: whose keys to use.")
@click.option("--output", type=FILE, help="Write the mail as it would be delivered.")
@json_option
@pass_session
def open_message(
    session: Session,
    *,
    file: Path,
    keys: Sequence[Path],
    pgp_keys: Sequence[Path],
    passwords: Sequence[Path],
    pgp_certificates: Sequence[Path],
    roots: Sequence[Path],
    certificates: Sequence[Path],
    crls: Sequence[Path],
    shared_passwords: Sequence[Path],
    shared_keys: Sequence[Path],
    at_text: str | None,
    use_store: bool,
    reader: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Decrypt and verify one mail, and say what each of its layers is worth."""
    at = read_time(at_text)
    parsed = read_mail(file)
    secrets = _secrets(shared_passwords, shared_keys)
    if use_store:
        opened, settings = _open_by_store(session, parsed, reader, secrets, at)
    else:
        settings = Settings(pgp_open_inline=True)
        password_of = _passwords(len(keys) + len(pgp_keys), passwords)
        materials = Materials(
            read_bundles(keys, password_of[: len(keys)]),
            _read_all(roots),
            _read_all(certificates),
            [read_crl(read_file(one), partial=True) for one in crls],
            # A key that is in both is the reader's.
            [*read_public_keys(pgp_certificates), *read_secret_keys(pgp_keys, password_of[len(keys) :])],
        )
        opened = open_one(parsed.root, known_from(materials, at), settings, at, secrets)
    errors = [] if parsed.fault is None else [str(parsed.fault)]
    if output is not None:
        write_mail(output, delivered(parsed.root, opened, settings, from_outside=True))
    if as_json:
        print_json(opened_json(opened, errors))
    else:
        show_opened(opened, errors)


def _open_by_store(
    session: Session, parsed: ParsedMessage, reader: str | None, secrets: Sequence[Secret], at: datetime
) -> tuple[Opened, Settings]:
    if reader is None:
        raise CommandError("--store needs --to", "name the reader: mailseal message open FILE --store --to A@B")
    gateway = _gateway(session)
    address = Address.parse(reader)
    settings = gateway.directory.party(address).settings
    return open_one(parsed.root, known_by(gateway, address), settings, at, secrets), settings


def _secrets(passwords: Sequence[Path], keys: Sequence[Path]) -> list[Secret]:
    found: list[Secret] = [SharedPassword(read_password(one, "")) for one in passwords]
    for one in keys:
        try:
            found.append(SharedKey(bytes.fromhex(read_file(one).decode("ascii"))))
        except ValueError:
            raise CommandError(f"{one} is not a key in hex digits") from None
    return found


@message.command("protect")
@click.argument("file", type=FILE)
@click.option("--to", "recipients", type=FILE, multiple=True, help="Certificate to encrypt to. May be repeated.")
@click.option("--sign", "signer", type=FILE, help="PKCS#12 file of the signer.")
@click.option(
    "--pgp-cert", "pgp_recipients", type=FILE, multiple=True, help="OpenPGP keys to encrypt to. May be repeated."
)
@click.option("--pgp-key", "pgp_signer", type=FILE, help="Secret OpenPGP key of the signer.")
@click.option("--password-file", "password", type=FILE, help="Its password.")
@click.option("--algorithm", type=one_of(Cipher), default=Cipher.AES256_CBC.value, show_default=True)
@click.option("--digest", type=one_of(Digest), default=Digest.SHA256.value, show_default=True)
@click.option(
    "--key-transport",
    type=one_of(KeyTransport),
    default=KeyTransport.PKCS1V15.value,
    show_default=True,
)
@click.option(
    "--rsa-signature",
    type=one_of(RsaSignature),
    default=RsaSignature.PKCS1V15.value,
    show_default=True,
)
@click.option("--opaque", is_flag=True, help="Put the signed mail inside its signature.")
@click.option("--pgp-format", type=one_of(PgpFormat), default=PgpFormat.MIME.value, show_default=True)
@click.option("--pgp-compression", type=one_of(PgpCompression), default=PgpCompression.NONE.value, show_default=True)
@click.option("--output", type=FILE, required=True, help="Where to write the protected mail.")
def protect_message(
    *,
    file: Path,
    recipients: Sequence[Path],
    signer: Path | None,
    pgp_recipients: Sequence[Path],
    pgp_signer: Path | None,
    password: Path | None,
    algorithm: str,
    digest: str,
    key_transport: str,
    rsa_signature: str,
    opaque: bool,
    pgp_format: str,
    pgp_compression: str,
    output: Path,
) -> None:
    """Sign and encrypt one mail, by S/MIME or by OpenPGP."""
    smime, pgp = bool(recipients) or signer is not None, bool(pgp_recipients) or pgp_signer is not None
    if smime is pgp:
        raise CommandError(
            "there is nothing to do" if not smime else "a mail is protected by one method",
            "encrypt with --to CERTIFICATE or --pgp-cert KEY, sign with --sign P12 or --pgp-key KEY, or both",
        )
    parsed = read_mail(file)
    if parsed.fault is not None:
        raise CommandError(f"the mail cannot be protected: {parsed.fault}")
    if pgp:
        settings = Settings(pgp_format=PgpFormat(pgp_format), pgp_compression=PgpCompression(pgp_compression))
        readers = read_public_keys(pgp_recipients)
        (signing, *_) = read_secret_keys([pgp_signer], [password]) if pgp_signer is not None else (None,)
        write_mail(output, protect_one_by_pgp(parsed.root, readers, signing, settings, datetime.now(UTC)))
        return
    to = [read_certificates(read_file(one))[0] for one in recipients]
    identity = None
    if signer is not None:
        (bundle,) = read_bundles([signer], [password])
        certificate, key = bundle.keys[0]
        identity = SigningIdentity(certificate, key, tuple(one.der for one in bundle.chain))
    now = datetime.now(UTC)
    encryption = EncryptionForm(Cipher(algorithm), KeyTransport(key_transport))
    signature = SignatureForm(Digest(digest), RsaSignature(rsa_signature), opaque)
    write_mail(output, protect_one(parsed.root, to, identity, encryption=encryption, signature=signature, at=now))


@message.command("explain")
@click.argument("file", type=FILE)
@click.option("--from", "sender", metavar="ADDRESS", required=True, help='Envelope sender; "" for the null sender.')
@click.option("--to", "recipients", metavar="ADDRESS", multiple=True, required=True, help="Recipient. May be repeated.")
@origin_options
@json_option
@pass_session
def explain_message(
    session: Session,
    *,
    file: Path,
    sender: str,
    recipients: Sequence[str],
    origin: str | None,
    submission: bool,
    as_json: bool,
) -> None:
    """Say what would happen to a mail, per recipient, and each reason. Nothing is sent."""
    from mailseal.cli.simulation import simulated  # noqa: PLC0415 - beside the store, which only this command needs
    from mailseal.pipeline.explain import explain  # noqa: PLC0415 - same

    octets = crlf(read_file(file))
    with simulated(session, octets, sender, recipients, origin=origin, submission=submission) as simulation:
        found = explain(simulation.envelope, simulation.message, simulation.gateway)
    show_explanations(found, as_json=as_json)


def _gateway(session: Session):  # type: ignore[no-untyped-def]  # noqa: ANN202 - ports.Gateway, loaded late
    from mailseal.wiring.gateway import open_node  # noqa: PLC0415 - the store is loaded only by commands that use it

    return open_node(session.open_store()).gateway


def read_time(text: str | None) -> datetime:
    """An ISO 8601 time, UTC if it names no zone; now if there is none."""
    if text is None:
        return datetime.now(UTC)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{text} is not a time", "write it like 2026-03-15T12:00:00Z") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def read_mail(file: Path) -> ParsedMessage:
    """A mail in a file, with CRLF line ends; raises MailsealError if it is none."""
    return parse(crlf(read_file(file)))


def crlf(octets: bytes) -> bytes:
    """A file whose header has bare LF was stored by a Unix program: give it the line ends it had on the wire."""
    first = octets.find(b"\n")
    if first < 0 or octets[max(0, first - 1) : first] == b"\r":
        return octets
    return with_crlf(octets)


def _passwords(keys: int, passwords: Sequence[Path]) -> list[Path | None]:
    """The file with the password of each key: one each, one for all, or none."""
    if len(passwords) not in (0, 1, keys):
        raise CommandError("the number of --password-file is neither one nor that of --key and --pgp-key")
    return list(passwords) if len(passwords) == keys else [passwords[0] if passwords else None] * keys


def read_bundles(keys: Sequence[Path], passwords: Sequence[Path | None]) -> list[ImportedKeys]:
    """PKCS#12 files with their passwords; one is asked for if the file needs it and none is given."""
    bundles = []
    for key, password in zip(keys, passwords, strict=True):
        octets = read_file(key)
        if password is not None:
            bundles.append(read_pkcs12(octets, read_password(password, "")))
            continue
        try:
            bundles.append(read_pkcs12(octets, None))
        except MailsealError:
            bundles.append(read_pkcs12(octets, read_password(None, f"Password of {key}")))
    return bundles


def _read_all(files: Sequence[Path]) -> list[Certificate]:
    return [certificate for one in files for certificate in read_certificates(read_file(one))]


def write_mail(output: Path, chunks: Sequence[Octets]) -> None:
    """Write the octets of a mail."""
    try:
        with output.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
    except OSError as error:
        raise CommandError(f"{output} cannot be written: {error.strerror}") from None
