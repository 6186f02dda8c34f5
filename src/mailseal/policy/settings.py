"""Settings: the front door to their table, texts, levels and combination."""

from mailseal.policy.choices import (
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
    PgpCompression,
    PgpFormat,
    PgpLookup,
    RevocationUnknown,
    RsaSignature,
    RsaSignatureChoice,
    SmimeProfile,
)
from mailseal.policy.combine import combine, stricter
from mailseal.policy.levels import Level, Override, levels_for, resolve, resolve_with_origin
from mailseal.policy.setting_info import Pairing, SettingInfo, Strength
from mailseal.policy.table import SETTINGS, Settings
from mailseal.policy.values import SettingError, check, parse_value, setting, show_value

__all__ = [
    "SETTINGS",
    "Cipher",
    "CipherBits",
    "CipherChoice",
    "Digest",
    "DigestChoice",
    "KeyTransport",
    "KeyTransportChoice",
    "Level",
    "Mode",
    "NewKey",
    "OnFailure",
    "Override",
    "Pairing",
    "PgpCompression",
    "PgpFormat",
    "PgpLookup",
    "RevocationUnknown",
    "RsaSignature",
    "RsaSignatureChoice",
    "SettingError",
    "SettingInfo",
    "Settings",
    "SmimeProfile",
    "Strength",
    "check",
    "combine",
    "levels_for",
    "parse_value",
    "resolve",
    "resolve_with_origin",
    "setting",
    "show_value",
    "stricter",
]
