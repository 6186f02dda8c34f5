"""The RecipientInfos of a ciphertext (RFC 5652 §6.2)."""

from mailseal.policy.reason import ReasonCode
from mailseal.smime import ber
from mailseal.smime.ber import Element, Fields
from mailseal.smime.errors import CmsError, malformed
from mailseal.smime.recipient import RecipientInfo, key_transport
from mailseal.smime.recipient_agreement import key_agreement
from mailseal.smime.recipient_secret import password, shared_key

MAX_RECIPIENTS = 1000


def read_recipients(infos: Element) -> list[RecipientInfo]:
    """The recipients of a RecipientInfos SET whose kinds we know; the others are left out. Raises CmsError."""
    elements = infos.children
    if infos.tag != ber.SET or len(elements) > MAX_RECIPIENTS:
        raise malformed("recipients are expected, 1,000 at most")
    found: list[RecipientInfo] = []
    for info in elements:
        found += _read(info)
        if len(found) > MAX_RECIPIENTS:
            raise CmsError(ReasonCode.TOO_LARGE, "there are too many recipients")
    return found


def _read(info: Element) -> "list[RecipientInfo]":
    match info.tag:
        case ber.SEQUENCE:
            return [key_transport(Fields(info))]
        case 0xA1:
            return [*key_agreement(Fields(info, 0xA1))]
        case 0xA2:
            return [shared_key(Fields(info, 0xA2))]
        case 0xA3:
            return [password(Fields(info, 0xA3))]
        case _:
            return []
