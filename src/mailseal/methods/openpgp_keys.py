"""OpenPGP keys that travel with mail: kept from what comes in, taken out of it, sent along (RFC 3156 §7, Autocrypt)."""

from collections.abc import Sequence
from datetime import datetime

from mailseal.mail.address import Address
from mailseal.mail.header import authors
from mailseal.mail.mime import Entity, MimeError, parse
from mailseal.openpgp.attached import attached_certificates, split_certificates, without_keys
from mailseal.openpgp.autocrypt import NAME, Autocrypt, read_autocrypt, write_autocrypt
from mailseal.openpgp.edit import minimal
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.select import newest_first, speaks_for, why_not_encrypt
from mailseal.openpgp.validity import live_user_ids
from mailseal.policy.model import Harvest, MethodName
from mailseal.ports import Gateway

MAX_FIELDS = 10
_FIELD = NAME.lower()


def harvest(root: Entity, content: Entity) -> tuple[Harvest, ...]:
    """What an Autocrypt field says of the one sender, and keys that are attached, whosever they are."""
    attached, fields = attached_certificates(content), root.headers(_FIELD)
    if not attached and not fields:
        return ()
    senders = authors(root)
    sender = senders[0] if len(senders) == 1 else None
    by = "" if sender is None else f" by {sender}"
    found = [(one, f"attached{by}") for one in attached]
    told = _autocrypt(fields, sender)
    if told is not None:
        found += [(one, f"Autocrypt{by}") for one in _split(told.keydata)[:1]]
    return tuple(Harvest(octets, method=MethodName.PGP, source=source) for octets, source in found)


def _autocrypt(fields: Sequence[str], sender: Address | None) -> Autocrypt | None:
    """The field that counts: the only one that can be read and is about the sender (Autocrypt Level 1, §2.1)."""
    read = [read_autocrypt(value) for value in fields[:MAX_FIELDS]]
    found = [one for one in read if one is not None and one.address == sender]
    return found[0] if len(found) == 1 else None


def _split(octets: bytes) -> list[bytes]:
    try:
        return split_certificates(octets)
    except PgpError:
        return []


def tidy(content: Entity) -> Entity:
    """The entity without attached keys; the same object where there are none that can be taken out."""
    octets = without_keys(content)
    if octets is None:
        return content
    try:
        parsed = parse(octets)
    except MimeError:
        return content
    return content if parsed.fault is not None else parsed.root


def announce(gateway: Gateway, identity: Address, at: datetime) -> tuple[tuple[str, str], ...]:
    """The field that brings the newest key of the sender's own; none where there is none. Raises TransientError."""
    own = [
        one
        for one in newest_first(gateway.pgp.with_key_of(identity))
        if speaks_for(one, identity, at) and why_not_encrypt(one, identity, at) is None
    ]
    if not own:
        return ()
    certificate = own[0].certificate
    names = [one.text for one in live_user_ids(certificate, at) if one.address == identity]
    try:
        value = write_autocrypt(identity, minimal(certificate, at, names[:1]))
    except PgpError:
        return ()
    return () if value is None else ((NAME, value),)
