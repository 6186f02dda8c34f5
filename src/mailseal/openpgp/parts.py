"""The packets of a certificate (RFC 9580 §10.1) by component, each with the signatures behind it; nothing is verified.

What strangers put in is passed over by its issuer, before it is read: thousands of such signatures cost little.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from mailseal.openpgp.component import Omission
from mailseal.openpgp.errors import PgpError, malformed
from mailseal.openpgp.fields import Fields
from mailseal.openpgp.key import PublicKey, read_public_fields, read_public_key
from mailseal.openpgp.packet import Packet, Tag, read_packets, write_packet
from mailseal.openpgp.signature import Signature, read_signature
from mailseal.policy.reason import ReasonCode

MAX_INPUT_OCTETS = 8 * 1024 * 1024
"""Of a certificate as it comes, with all that strangers have certified in it."""
MAX_USER_IDS = 128
MAX_SUBKEYS = 128
MAX_SIGNATURES = 512
"""By the certificate's own key and by certifiers; each costs up to a millisecond to verify."""
MAX_USER_ID_OCTETS = 2048
MAX_OMISSIONS = 128
_PRIMARY = frozenset({Tag.PUBLIC_KEY, Tag.SECRET_KEY})
_SUBKEY = frozenset({Tag.PUBLIC_SUBKEY, Tag.SECRET_SUBKEY})
_SECRET = frozenset({Tag.SECRET_KEY, Tag.SECRET_SUBKEY})
_MAX_SHOWN = 80


class Part(Protocol):
    """What signatures belong to."""

    signatures: list[Signature]


@dataclass(slots=True)
class KeyPart:
    """A key with the signatures behind it."""

    public: PublicKey
    signatures: list[Signature] = field(default_factory=list)


@dataclass(slots=True)
class UserIdPart:
    """A user ID with the signatures behind it; `octets` are those of the packet."""

    octets: bytes
    signatures: list[Signature] = field(default_factory=list)

    @property
    def text(self) -> str:
        """For people; one that is not UTF-8 is not told exactly."""
        return user_id_text(self.octets)


@dataclass(slots=True)
class Parts:
    """A certificate in parts, the same component never twice."""

    primary: KeyPart
    user_ids: dict[bytes, UserIdPart] = field(default_factory=dict)
    subkeys: dict[str, KeyPart] = field(default_factory=dict)
    omissions: list[Omission] = field(default_factory=list)

    def omit(self, what: str, reason: ReasonCode) -> None:
        """Note what is not used, in a form that can be shown."""
        if len(self.omissions) < MAX_OMISSIONS:
            shown = "".join(one if one.isprintable() else "?" for one in what[:_MAX_SHOWN])
            self.omissions.append(Omission(shown, reason))

    def written(self) -> bytes:
        """The packets in canonical order, in the new format."""
        return b"".join(self._written())

    def _written(self) -> Iterator[bytes]:
        yield write_packet(Tag.PUBLIC_KEY, self.primary.public.octets)
        yield from _written(self.primary.signatures)
        for user_id in self.user_ids.values():
            yield write_packet(Tag.USER_ID, user_id.octets)
            yield from _written(user_id.signatures)
        for subkey in self.subkeys.values():
            yield write_packet(Tag.PUBLIC_SUBKEY, subkey.public.octets)
            yield from _written(subkey.signatures)


def _written(signatures: Iterable[Signature]) -> Iterator[bytes]:
    return (write_packet(Tag.SIGNATURE, one.octets) for one in signatures)


def read_parts(octets: bytes, certifiers: Collection[PublicKey] | None = ()) -> Parts:
    """The one certificate that fills the octets, of public or secret keys; raises PgpError.

    Of the signatures only those are read that name its primary key, or one of `certifiers`, as their issuer; if that is
    None, all.
    """
    if len(octets) > MAX_INPUT_OCTETS:
        raise PgpError(ReasonCode.TOO_LARGE, "a certificate is too large")
    reading: _Reading | None = None
    for packet in read_packets(octets):
        if packet.ignored:
            continue
        if reading is None:
            if packet.tag not in _PRIMARY:
                raise malformed("a certificate does not begin with a primary key")
            reading = _Reading(_read_key(packet), certifiers)
        else:
            reading.take(packet)
    if reading is None:
        raise malformed("there is no certificate")
    return reading.parts


def user_id_text(octets: bytes) -> str:
    """A user ID as text."""
    return octets.decode("utf-8", "replace")


def _read_key(packet: Packet) -> PublicKey:
    """The public half of a key packet; whatever follows it in a secret one is not looked at."""
    return read_public_fields(Fields(packet.body)) if packet.tag in _SECRET else read_public_key(packet.body)


class _Reading:
    """A certificate as its packets come. `_current` is what a signature belongs to; None: to nothing that is kept."""

    def __init__(self, primary: PublicKey, certifiers: Collection[PublicKey] | None) -> None:
        self.parts = Parts(KeyPart(primary))
        self._wanted = None if certifiers is None else {bytes.fromhex(one.key_id) for one in (primary, *certifiers)}
        self._current: Part | None = self.parts.primary
        self._signatures = 0

    def take(self, packet: Packet) -> None:
        if packet.tag == Tag.SIGNATURE:
            self._signature(packet.octets)
        elif packet.tag == Tag.USER_ID:
            self._current = self._user_id(packet.octets)
        elif packet.tag in _SUBKEY:
            self._current = self._subkey(packet)
        elif packet.tag == Tag.USER_ATTRIBUTE:
            self._current = None  # pictures
        else:
            raise malformed("a certificate has a packet that does not belong there")

    def _signature(self, body: bytes) -> None:
        # An issuer's fingerprint has its key ID within, so this finds both; of version 3 it is found as well.
        if self._current is None or not (self._wanted is None or any(one in body for one in self._wanted)):
            return
        self._signatures += 1
        if self._signatures > MAX_SIGNATURES:
            raise PgpError(ReasonCode.TOO_LARGE, "a certificate has too many signatures")
        try:
            self._current.signatures.append(read_signature(body))
        except PgpError:
            return  # what cannot be read binds nothing

    def _user_id(self, octets: bytes) -> UserIdPart | None:
        parts = self.parts
        if len(octets) > MAX_USER_ID_OCTETS:
            self.parts.omit(user_id_text(octets[:MAX_USER_ID_OCTETS]), ReasonCode.TOO_LARGE)
            return None
        if octets not in parts.user_ids and len(parts.user_ids) >= MAX_USER_IDS:
            raise PgpError(ReasonCode.TOO_LARGE, "a certificate has too many user IDs")
        return parts.user_ids.setdefault(octets, UserIdPart(octets))

    def _subkey(self, packet: Packet) -> KeyPart | None:
        parts, primary = self.parts, self.parts.primary.public
        try:
            public = _read_key(packet)
        except PgpError as error:
            self.parts.omit("subkey", error.reason)
            return None
        if public.version != primary.version or public.fingerprint == primary.fingerprint:
            self.parts.omit(public.fingerprint, ReasonCode.MALFORMED)
            return None
        if public.fingerprint not in parts.subkeys and len(parts.subkeys) >= MAX_SUBKEYS:
            raise PgpError(ReasonCode.TOO_LARGE, "a certificate has too many subkeys")
        return parts.subkeys.setdefault(public.fingerprint, KeyPart(public))
