from dataclasses import FrozenInstanceError, fields

import pytest

from mailseal.policy.model import Action
from mailseal.policy.settings import (
    SETTINGS,
    Cipher,
    CipherBits,
    CipherChoice,
    Digest,
    DigestChoice,
    KeyTransport,
    KeyTransportChoice,
    Mode,
    NewKey,
    OnFailure,
    OnGap,
    Pairing,
    PgpCompression,
    PgpFormat,
    PgpLookup,
    RevocationUnknown,
    RsaSignature,
    RsaSignatureChoice,
    SettingInfo,
    Settings,
    SmimeProfile,
    Strength,
)

FACTORY = {
    "mode": Mode.ALLOW,
    "on_failure": OnFailure.REFUSE,
    "smime": True,
    "smime_max_bytes": 52_428_800,
    "smime_profile": SmimeProfile.DEFAULT,
    "smime_cipher": CipherChoice.AUTO,
    "smime_min_cipher_bits": CipherBits.BITS_128,
    "smime_authenticated_only": False,
    "smime_key_transport": KeyTransportChoice.AUTO,
    "smime_digest": DigestChoice.AUTO,
    "smime_rsa_signature": RsaSignatureChoice.AUTO,
    "smime_opaque": False,
    "smime_read_3des": True,
    "smime_read_rc2": True,
    "smime_read_des": True,
    "smime_read_cast5": True,
    "harvest_certificates": True,
    "new_key_for_known_address": NewKey.USABLE,
    "sign": True,
    "sign_only_when_encrypting": False,
    "encrypt_subject_trigger": "[encrypt]",
    "sign_subject_trigger": "",
    "subject_trigger_is_pattern": False,
    "remove_subject_trigger": True,
    "encrypt_header_trigger": "X-Mailseal-Encrypt",
    "sign_header_trigger": "X-Mailseal-Sign",
    "skip_calendar": False,
    "additional_certificates": (),
    "revocation_unknown": RevocationUnknown.USABLE,
    "legacy_subject_email": False,
    "subject_tags": False,
    "tag_decrypted": "[decrypted]",
    "tag_signed_by": "[signed by {signer}]",
    "tag_signed_mismatch": "[signed by {signer}, not by the sender]",
    "tag_invalid": "[invalid signature]",
    "remove_signature": False,
    "log_subject": False,
    "pgp": True,
    "pgp_max_bytes": 52_428_800,
    "pgp_format": PgpFormat.MIME,
    "pgp_compression": PgpCompression.NONE,
    "pgp_open_inline": False,
    "pgp_additional_keys": (),
    "pgp_generate_signing_key": False,
    "pgp_lookup": PgpLookup.OFF,
    "pgp_trust_wkd": False,
    "pgp_harvest_keys": True,
    "pgp_remove_key_attachments": False,
    "pgp_autocrypt": False,
    "dkim_sign": True,
    "dkim_valid_days": 0,
    "authentication_results": True,
    "arc_seal": True,
    "dlp": True,
    "dlp_without_patterns": False,
    "dlp_uninspectable": "quarantine",
    "dlp_partial": "quarantine",
    "dlp_unknown_format": "warn",
    "quarantine_days": 30,
    "dlp_managers": (),
    "notify_outside_managers": False,
    "notify_managers": (
        "dlp-warn",
        "dlp-block",
        "dlp-quarantine",
        "must-encrypt-held",
        "ambiguous-held",
        "expires-soon",
    ),
    "notify_sender": (
        "dlp-warn",
        "dlp-block",
        "dlp-quarantine",
        "must-encrypt-held",
        "ambiguous-held",
        "released",
        "deleted",
        "expired",
    ),
    "notify_recipient": (),
    "notice_subject": False,
    "notice_from": "",
    "notice_envelope_from": "",
    "notice_language": "en",
    "notices_per_hour": 10,
}

DECLARED = {
    "mode": (Pairing.MODE, Strength.HIGHER),
    "on_failure": (Pairing.SENDER, Strength.HIGHER),
    "smime": (Pairing.BOTH, Strength.HIGHER),
    "smime_max_bytes": (Pairing.SMALLER, Strength.HIGHER),
    "smime_profile": (Pairing.RECIPIENT, Strength.FIXED),
    "smime_cipher": (Pairing.RECIPIENT, Strength.FIXED),
    "smime_min_cipher_bits": (Pairing.EITHER, Strength.HIGHER),
    "smime_authenticated_only": (Pairing.EITHER, Strength.HIGHER),
    "smime_key_transport": (Pairing.RECIPIENT, Strength.FIXED),
    "smime_digest": (Pairing.RECIPIENT, Strength.FIXED),
    "smime_rsa_signature": (Pairing.RECIPIENT, Strength.FIXED),
    "smime_opaque": (Pairing.RECIPIENT, Strength.FIXED),
    "smime_read_3des": (Pairing.RECIPIENT, Strength.LOWER),
    "smime_read_rc2": (Pairing.RECIPIENT, Strength.LOWER),
    "smime_read_des": (Pairing.RECIPIENT, Strength.LOWER),
    "smime_read_cast5": (Pairing.RECIPIENT, Strength.LOWER),
    "harvest_certificates": (Pairing.RECIPIENT, Strength.LOWER),
    "new_key_for_known_address": (Pairing.EITHER, Strength.HIGHER),
    "sign": (Pairing.SENDER, Strength.HIGHER),
    "sign_only_when_encrypting": (Pairing.EITHER, Strength.HIGHER),
    "encrypt_subject_trigger": (Pairing.SENDER, Strength.FIXED),
    "sign_subject_trigger": (Pairing.SENDER, Strength.FIXED),
    "subject_trigger_is_pattern": (Pairing.SENDER, Strength.FIXED),
    "remove_subject_trigger": (Pairing.SENDER, Strength.FIXED),
    "encrypt_header_trigger": (Pairing.SENDER, Strength.FIXED),
    "sign_header_trigger": (Pairing.SENDER, Strength.FIXED),
    "skip_calendar": (Pairing.BOTH, Strength.LOWER),
    "additional_certificates": (Pairing.UNION, Strength.SUPERSET),
    "revocation_unknown": (Pairing.EITHER, Strength.HIGHER),
    "legacy_subject_email": (Pairing.BOTH, Strength.LOWER),
    "subject_tags": (Pairing.RECIPIENT, Strength.FIXED),
    "tag_decrypted": (Pairing.RECIPIENT, Strength.FIXED),
    "tag_signed_by": (Pairing.RECIPIENT, Strength.FIXED),
    "tag_signed_mismatch": (Pairing.RECIPIENT, Strength.FIXED),
    "tag_invalid": (Pairing.RECIPIENT, Strength.FIXED),
    "remove_signature": (Pairing.RECIPIENT, Strength.FIXED),
    "log_subject": (Pairing.BOTH, Strength.LOWER),
    "pgp": (Pairing.BOTH, Strength.HIGHER),
    "pgp_max_bytes": (Pairing.SMALLER, Strength.HIGHER),
    "pgp_format": (Pairing.RECIPIENT, Strength.FIXED),
    "pgp_compression": (Pairing.RECIPIENT, Strength.FIXED),
    "pgp_open_inline": (Pairing.RECIPIENT, Strength.FIXED),
    "pgp_additional_keys": (Pairing.UNION, Strength.SUPERSET),
    "pgp_generate_signing_key": (Pairing.SENDER, Strength.HIGHER),
    "pgp_lookup": (Pairing.RECIPIENT, Strength.HIGHER),
    "pgp_trust_wkd": (Pairing.RECIPIENT, Strength.LOWER),
    "pgp_harvest_keys": (Pairing.RECIPIENT, Strength.LOWER),
    "pgp_remove_key_attachments": (Pairing.RECIPIENT, Strength.FIXED),
    "pgp_autocrypt": (Pairing.SENDER, Strength.FIXED),
    "dkim_sign": (Pairing.BOTH, Strength.HIGHER),
    "dkim_valid_days": (Pairing.SENDER, Strength.FIXED),
    "authentication_results": (Pairing.RECIPIENT, Strength.FIXED),
    "arc_seal": (Pairing.RECIPIENT, Strength.FIXED),
    "dlp": (Pairing.BOTH, Strength.HIGHER),
    "dlp_without_patterns": (Pairing.EITHER, Strength.HIGHER),
    "dlp_uninspectable": (Pairing.EITHER, Strength.HIGHER),
    "dlp_partial": (Pairing.EITHER, Strength.HIGHER),
    "dlp_unknown_format": (Pairing.EITHER, Strength.HIGHER),
    "quarantine_days": (Pairing.SENDER, Strength.FIXED),
    "dlp_managers": (Pairing.UNION, Strength.SUPERSET),
    "notify_outside_managers": (Pairing.SENDER, Strength.LOWER),
    "notify_managers": (Pairing.SENDER, Strength.SUPERSET),
    "notify_sender": (Pairing.SENDER, Strength.SUPERSET),
    "notify_recipient": (Pairing.RECIPIENT, Strength.SUPERSET),
    "notice_subject": (Pairing.BOTH, Strength.LOWER),
    "notice_from": (Pairing.RECIPIENT, Strength.FIXED),
    "notice_envelope_from": (Pairing.RECIPIENT, Strength.FIXED),
    "notice_language": (Pairing.RECIPIENT, Strength.FIXED),
    "notices_per_hour": (Pairing.RECIPIENT, Strength.FIXED),
}


def test_factory_values_are_these():
    assert {one.name: getattr(Settings(), one.name) for one in fields(Settings)} == FACTORY


def test_every_setting_combines_as_declared_here():
    assert {one.name: (one.pairing, one.strength) for one in SETTINGS} == DECLARED


def test_the_table_says_everything_of_every_field():
    assert [one.name for one in SETTINGS] == [one.name for one in fields(Settings)]
    for one in SETTINGS:
        assert type(one.default) is one.type
        assert one.help.endswith(".")
        assert len(one.help) > 20


def test_numbers_have_a_unit_and_bounds():
    row = next(one for one in SETTINGS if one.name == "smime_max_bytes")
    assert row == SettingInfo(
        "smime_max_bytes", int, 52_428_800, Pairing.SMALLER, Strength.HIGHER, row.help, "octets", 1024, 2**31 - 1
    )
    other = next(one for one in SETTINGS if one.name == "mode")
    assert (other.unit, other.lowest, other.highest) == ("", 0, 0)


def test_values_are_listed_weakest_first():
    assert list(Mode) == ["never", "allow", "force", "mandatory"]
    assert list(OnFailure) == ["notify", "quarantine", "refuse"]
    assert list(OnGap) == ["ignore", *Action]
    assert list(Cipher) == ["aes128-cbc", "aes192-cbc", "aes256-cbc", "aes128-gcm", "aes192-gcm", "aes256-gcm"]
    assert list(CipherBits) == ["128", "192", "256"]
    assert list(Digest) == ["sha256", "sha384", "sha512"]
    assert list(KeyTransport) == ["pkcs1v15", "oaep-sha1", "oaep-sha256", "oaep-sha384", "oaep-sha512"]
    assert list(RsaSignature) == ["pkcs1v15", "pss"]
    assert list(PgpLookup) == ["off", "background", "wait"]
    assert list(RevocationUnknown) == list(NewKey) == ["usable", "unusable"]


@pytest.mark.parametrize(
    ("choice", "values"),
    [
        (CipherChoice, Cipher),
        (DigestChoice, Digest),
        (KeyTransportChoice, KeyTransport),
        (RsaSignatureChoice, RsaSignature),
    ],
)
def test_a_choice_is_auto_or_a_value(choice, values):
    assert list(choice) == ["auto", *values]


def test_settings_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Settings().mode = Mode.NEVER
