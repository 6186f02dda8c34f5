"""Settings: the front door to their table, texts, levels and combination."""

from mailseal.policy.combine import combine, stricter
from mailseal.policy.levels import Level, Override, levels_for, resolve, resolve_with_origin
from mailseal.policy.table import (
    SETTINGS,
    Cipher,
    Digest,
    Mode,
    OnFailure,
    Pairing,
    RevocationUnknown,
    SettingInfo,
    Settings,
    Strength,
)
from mailseal.policy.values import SettingError, check, parse_value, setting, show_value

__all__ = [
    "SETTINGS",
    "Cipher",
    "Digest",
    "Level",
    "Mode",
    "OnFailure",
    "Override",
    "Pairing",
    "RevocationUnknown",
    "SettingError",
    "SettingInfo",
    "Settings",
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
