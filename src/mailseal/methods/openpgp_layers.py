"""Take layers of OpenPGP off a received mail: decrypt, verify, or both (RFC 9580 §10.3, RFC 3156; inline)."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from mailseal.keys import PrivateKey
from mailseal.mail.mime import Entity, MimeError
from mailseal.methods.inside import entity_inside
from mailseal.methods.layer import Layer, Opening, Peeled
from mailseal.methods.openpgp_signers import Claim, signed_layer
from mailseal.openpgp import inline_write, mime
from mailseal.openpgp.armor import Cleartext
from mailseal.openpgp.certificate import StoredPgpCertificate
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.inline import Sealed, sealed_parts, signed_message
from mailseal.openpgp.inner import Inner, read_inner
from mailseal.openpgp.key import PublicKey
from mailseal.openpgp.message import Encrypted, Opened, read_encrypted
from mailseal.openpgp.mime import LayerKind
from mailseal.openpgp.session_key import Pkesk
from mailseal.policy.model import MethodName
from mailseal.policy.reason import ReasonCode, because

MAX_SEALED_PARTS = 50
"""Of one inline mail: each of them costs a private-key operation."""
MAX_NAMED = 100
_TOLD = frozenset(
    {
        ReasonCode.KEY_NOT_FOUND,
        ReasonCode.NO_INTEGRITY,
        ReasonCode.TOO_LARGE,
        ReasonCode.UNSUPPORTED_ALGORITHM,
    }
)
"""What is said of a message that was not opened; of all else one text, or it would be an oracle."""


def peel(entity: Entity, kind: LayerKind, opening: Opening, depth: int) -> Peeled:
    """One layer, or the two of a message that is signed and encrypted in one. Never raises for bad content."""
    try:
        match kind:
            case LayerKind.ENCRYPTED:
                return _decrypt(entity, opening, depth)
            case LayerKind.SIGNED:
                return _verify(entity, opening, depth)
    except PgpError as error:
        reason = because(error.reason)
    except MimeError:
        reason = because(ReasonCode.MALFORMED)
    return Peeled((Layer(kind.value, depth, entity.path, ok=False, reason=reason),))


def _decrypt(entity: Entity, opening: Opening, depth: int) -> Peeled:
    whole = mime.classify(entity) is LayerKind.ENCRYPTED
    sealed = (Sealed(mime.read_message(mime.message_part(entity))),) if whole else sealed_parts(entity)
    if len(sealed) > MAX_SEALED_PARTS:
        raise PgpError(ReasonCode.TOO_LARGE, "the mail has too many encrypted parts")
    messages = [read_encrypted(one.message) for one in sealed]
    layer = Layer(
        LayerKind.ENCRYPTED.value,
        depth,
        entity.path,
        ok=False,
        algorithm=_joined(one.algorithm for one in messages),
        integrity="none" if any(one.integrity == "none" for one in messages) else "authenticated",
        recipients=_recipients(messages),
    )
    if not opening.party.settings.pgp:
        return Peeled((replace(layer, reason=because(ReasonCode.DECRYPTION_OFF)),))
    keys = _Keys(opening)
    try:
        opened = _opened(messages, keys, opening)
        inner = entity_inside(opened[0].inner.literal) if whole else _rebuilt(sealed, opened)
    except PgpError as error:
        code = error.reason if error.reason in _TOLD else ReasonCode.DECRYPTION_FAILED
        return Peeled((replace(layer, reason=because(code)),))
    except MimeError:
        return Peeled((replace(layer, reason=because(ReasonCode.DECRYPTION_FAILED)),))
    used = keys.certificate_of(opened[0].key)
    algorithm = _joined(one.algorithm for one in opened)
    weak = because(ReasonCode.ENCRYPTION_WEAK, algorithm=algorithm) if any(one.weak for one in opened) else None
    layer = replace(layer, ok=True, key=used, reason=weak, algorithm=algorithm)
    claims = [_claim(one.inner) for one in opened]
    if not any(one.signatures for one in claims):
        return Peeled((layer,), inner, decrypted=True)
    signed = signed_layer(claims, opening, depth + 1, read_by=used)
    return Peeled((layer, signed), inner, decrypted=True)


def _claim(inner: Inner) -> Claim:
    return Claim(inner.literal, b"".join(inner.signatures))


def _joined(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(one for one in names if one))


def _recipients(messages: Sequence[Encrypted]) -> tuple[str, ...]:
    named = [_named(one) for message in messages for one in message.recipients]
    named += ["a password" for message in messages for _ in range(message.passwords)]
    return tuple(dict.fromkeys(named))[:MAX_NAMED]


def _named(recipient: Pkesk) -> str:
    return "a hidden recipient" if recipient.hidden else f"key {recipient.fingerprint or recipient.key_id}"


class _Keys:
    """The secret keys that the mail may be opened with; each is fetched when a message fits it, once."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        names = opening.held.get(MethodName.PGP, ())
        found = (opening.pgp.by_fingerprint(one) for one in names)
        self._held: list[StoredPgpCertificate] = [one for one in found if one is not None]
        self._fetched: dict[str, PrivateKey] = {}

    def fitting(self, message: Encrypted) -> list[tuple[PublicKey, PrivateKey]]:
        publics = [
            component.public
            for stored in self._held
            for component in stored.certificate.components
            if component.fingerprint in stored.keys and component.public.can_encrypt
        ]
        return [(one, self._private(one)) for one in publics if message.fits(one)]

    def _private(self, public: PublicKey) -> PrivateKey:
        name = public.spki_sha256
        if name not in self._fetched:
            self._fetched[name] = self._opening.certificates.private_key(name)
        return self._fetched[name]

    def certificate_of(self, public: PublicKey | None) -> str | None:
        """The fingerprint of the certificate that a key belongs to."""
        if public is None:
            return None
        held = (one.certificate for one in self._held)
        return next((one.fingerprint for one in held if one.component(public.fingerprint) is not None), None)


def _opened(messages: Sequence[Encrypted], keys: _Keys, opening: Opening) -> list[Opened]:
    """All of them, or none; raises PgpError."""
    opened: list[Opened] = []
    left = opening.max_bytes
    for message in messages:
        opened.append(message.open(keys.fitting(message), max_bytes=left, work=opening.work))
        left -= len(opened[-1].inner.literal)
    return opened


def _rebuilt(sealed: Sequence[Sealed], opened: Sequence[Opened]) -> Entity:
    """A mail of a text and files: what was encrypted is never parsed as anything that could load or send something.

    One text is shown. Another may be out of a mail between others, for the reader to send back with his answer.
    """
    shown = next((one for one in sealed if one.filename is None), None)
    parts = []
    for number, (one, found) in enumerate(zip(sealed, opened, strict=True), 1):
        content = found.inner.literal
        if one is shown:
            parts.append(inline_write.text_entity(content, inline_write.charset_of(content, one.charset)))
        else:
            name = f"text-{number}.txt" if one.filename is None else one.filename
            parts.append(inline_write.file_entity(content, name or found.inner.filename))
    return entity_inside(b"".join(inline_write.joined(parts)))


def _verify(entity: Entity, opening: Opening, depth: int) -> Peeled:
    if mime.classify(entity) is LayerKind.SIGNED:
        claim = Claim(*mime.signed_parts(entity))
        return Peeled((signed_layer([claim], opening, depth, part=entity.path),), entity.children[0])
    signed = signed_message(entity)
    charset = entity.content_type.parameters.get("charset", "")
    if isinstance(signed, Cleartext):
        text, signatures = signed.content, signed.signatures
    else:
        found = read_inner(signed.message, opening.max_bytes)
        text, signatures, charset = found.literal, b"".join(found.signatures), signed.charset
    layer = signed_layer([Claim(text, signatures)], opening, depth, part=entity.path)
    if not layer.ok:
        return Peeled((layer,))
    # From here on only what the signature covers is shown.
    shown = inline_write.text_entity(text, inline_write.charset_of(text, charset))
    return Peeled((layer,), entity_inside(b"".join(shown)), decrypted=True)
