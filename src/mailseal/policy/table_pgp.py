"""The settings of OpenPGP and its keys."""

from dataclasses import dataclass

from mailseal.policy.choices import PgpCompression, PgpFormat, PgpLookup
from mailseal.policy.setting_info import Pairing, Strength, row
from mailseal.policy.table_smime import SmimeSettings


@dataclass(frozen=True, slots=True)
class PgpSettings(SmimeSettings):
    """What counts for OpenPGP."""

    pgp: bool = row(
        Pairing.BOTH,
        Strength.HIGHER,
        "Use OpenPGP: encrypt and sign on the way out, decrypt on the way in.",
        default=True,
    )
    pgp_max_bytes: int = row(
        Pairing.SMALLER,
        Strength.HIGHER,
        "A larger mail is neither signed nor encrypted by OpenPGP; if it must be encrypted and no other method can, "
        "`on_failure` counts.",
        default=50 * 1024 * 1024,
        unit="octets",
        lowest=1024,
        highest=2**31 - 1,
    )
    pgp_format: PgpFormat = row(
        Pairing.RECIPIENT,
        Strength.FIXED,
        "Form of mail by OpenPGP: `mime` (PGP/MIME), or `inline` for programs that cannot read that: the text as an "
        "armored block, each attachment encrypted by itself as `.pgp`. A mail in clear is signed `inline` only if it "
        "is nothing but text.",
        default=PgpFormat.MIME,
    )
    pgp_compression: PgpCompression = row(
        Pairing.RECIPIENT,
        Strength.FIXED,
        "Compress a mail before it is encrypted by OpenPGP, if all keys of its readers allow it.",
        default=PgpCompression.NONE,
    )
    pgp_open_inline: bool = row(
        Pairing.RECIPIENT,
        Strength.FIXED,
        "Open OpenPGP in the text of a mail, too: armored blocks and clear-signed text. PGP/MIME is always opened.",
        default=False,
    )
    pgp_additional_keys: tuple[str, ...] = row(
        Pairing.UNION,
        Strength.SUPERSET,
        "OpenPGP keys (fingerprints) to which every mail that OpenPGP encrypts is encrypted as well.",
        default=(),
        unit="fingerprint, hexadecimal",
    )
    pgp_generate_signing_key: bool = row(
        Pairing.SENDER,
        Strength.HIGHER,
        "Make an OpenPGP key for a sender without one when a mail is to be signed by OpenPGP.",
        default=False,
    )
    pgp_lookup: PgpLookup = row(
        Pairing.RECIPIENT,
        Strength.HIGHER,
        "Look on the network for keys of a recipient for whom there is none: `off`; `background` (for the next mail); "
        "`wait` (the mail is deferred meanwhile, half an hour at most).",
        default=PgpLookup.OFF,
    )
    pgp_trust_wkd: bool = row(
        Pairing.RECIPIENT,
        Strength.LOWER,
        "Trust keys that the domain of an address publishes for it itself (Web Key Directory over HTTPS).",
        default=False,
    )
    pgp_harvest_keys: bool = row(
        Pairing.RECIPIENT,
        Strength.LOWER,
        "Keep OpenPGP keys that come attached to mail or in its Autocrypt field. They are not trusted by that.",
        default=True,
    )
    pgp_remove_key_attachments: bool = row(
        Pairing.RECIPIENT,
        Strength.FIXED,
        "Take attached OpenPGP keys out of incoming mail, where no signature covers them.",
        default=False,
    )
    pgp_autocrypt: bool = row(
        Pairing.SENDER,
        Strength.FIXED,
        "Send the OpenPGP key of the sender along in an Autocrypt field.",
        default=False,
    )
