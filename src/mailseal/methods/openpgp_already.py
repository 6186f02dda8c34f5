"""The OpenPGP protection that a mail brings along: by its packets, never by a word or an armor line in it."""

from mailseal.mail.mime import Entity
from mailseal.openpgp import inline, mime
from mailseal.openpgp.armor import Cleartext
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.inline import sealed_parts, signed_message
from mailseal.openpgp.message import read_encrypted
from mailseal.openpgp.mime import LayerKind
from mailseal.openpgp.verify import split_signatures
from mailseal.policy.model import Already


def already(root: Entity) -> Already:
    """Encrypted only if nothing that can be read is around the message, and somebody's key opens it."""
    try:
        kind = mime.classify(root)
        if kind is not None:
            return _of_mime(root, kind)
        kind = inline.classify(root)
        return Already.NOTHING if kind is None else _of_inline(root, kind)
    except PgpError:
        return Already.NOTHING


def _of_mime(root: Entity, kind: LayerKind) -> Already:
    if kind is LayerKind.ENCRYPTED:
        secret = read_encrypted(mime.read_message(mime.message_part(root))).keeps_secret
        return Already.ENCRYPTED if secret and mime.is_all(root) else Already.NOTHING
    _, signatures = mime.signed_parts(root)
    split_signatures(signatures)
    content = root.children[0]
    around = mime.classify(content) is LayerKind.ENCRYPTED and mime.is_bare(root)
    return (
        Already.ENCRYPTED if around and _of_mime(content, LayerKind.ENCRYPTED) is Already.ENCRYPTED else Already.SIGNED
    )


def _of_inline(root: Entity, kind: LayerKind) -> Already:
    if kind is LayerKind.ENCRYPTED:
        secret = all(read_encrypted(one.message).keeps_secret for one in sealed_parts(root))
        return Already.ENCRYPTED if secret and inline.is_bare(root) else Already.NOTHING
    signed = signed_message(root)
    if isinstance(signed, Cleartext):
        split_signatures(signed.signatures)
        return Already.SIGNED
    return Already.NOTHING
