"""Which settings have brought about a reason: where somebody goes who wants it to be otherwise."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from mailseal.policy.reason import Reason, ReasonCode
from mailseal.policy.setting_info import Pairing
from mailseal.policy.settings import setting


class Side(StrEnum):
    """Whose value of a setting counts."""

    SENDER = "sender"
    RECIPIENT = "recipient"


_METHOD = "{method}"
"""Stands for the name of the method that a reason is about."""

CAUSES: Mapping[ReasonCode, tuple[str, ...]] = MappingProxyType(
    {
        ReasonCode.MODE_NEVER: ("mode",),
        ReasonCode.MODE_ALLOW: ("mode",),
        ReasonCode.MODE_FORCE: ("mode",),
        ReasonCode.MODE_MANDATORY: ("mode",),
        ReasonCode.TRIGGER_ENCRYPT_SUBJECT: ("encrypt_subject_trigger",),
        ReasonCode.TRIGGER_ENCRYPT_HEADER: ("encrypt_header_trigger",),
        ReasonCode.TRIGGER_SIGN_SUBJECT: ("sign_subject_trigger",),
        ReasonCode.TRIGGER_SIGN_HEADER: ("sign_header_trigger",),
        ReasonCode.FINDING: ("dlp",),
        ReasonCode.CALENDAR_SKIPPED: ("skip_calendar",),
        ReasonCode.METHOD_OFF: (_METHOD,),
        ReasonCode.METHOD_TOO_LARGE: (f"{_METHOD}_max_bytes",),
        ReasonCode.ADDITIONAL_CERTIFICATE_UNUSABLE: ("additional_certificates",),
        ReasonCode.MUST_ENCRYPT_FAILED: ("on_failure",),
        ReasonCode.LOOKUP_RUNNING: ("pgp_lookup",),
        ReasonCode.SIGNING_OFF: ("sign",),
        ReasonCode.SIGN_ONLY_WHEN_ENCRYPTING: ("sign_only_when_encrypting",),
        ReasonCode.CERTIFICATE_REVOCATION_UNKNOWN: ("revocation_unknown",),
        ReasonCode.CERTIFICATE_WRONG_ADDRESS: ("legacy_subject_email",),
        ReasonCode.CERTIFICATE_NEW_KEY: ("new_key_for_known_address",),
        ReasonCode.NO_PGP_KEY: ("pgp_lookup",),
        ReasonCode.PGP_KEY_UNTRUSTED: ("pgp_trust_wkd",),
        ReasonCode.CIPHER_OFF: ("smime_read_des",),
        ReasonCode.DKIM_NOT_SIGNED: ("dkim_sign",),
        ReasonCode.ARC_NOT_SEALED: ("arc_seal",),
    }
)
"""Of reasons that a setting brings about: its name."""

_ONE_SIDE = {Pairing.SENDER: (Side.SENDER,), Pairing.RECIPIENT: (Side.RECIPIENT,)}


def causes(reason: Reason) -> tuple[str, ...]:
    """The names of the settings that a reason comes from; none for what no setting decides."""
    method = dict(reason.parameters).get("method", "")
    return tuple(name.replace(_METHOD, method) for name in CAUSES.get(reason.code, ()) if method or _METHOD not in name)


def sides(name: str) -> tuple[Side, ...]:
    """Whose values of a setting make the one that counts."""
    return _ONE_SIDE.get(setting(name).pairing, (Side.SENDER, Side.RECIPIENT))
