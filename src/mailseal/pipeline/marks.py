"""The marks that the gateway puts on opened mail, and their removal from mail that brings forged ones.

Result headers start with `X-Mailseal-`; subject tags are settings. Both say something only because every mark that
comes from outside is taken off first.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from mailseal.mail.header import seen_names, unfolded
from mailseal.mail.mime import Entity, HeaderField
from mailseal.methods.layer import Layer, SignerReport
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Settings

PREFIX = b"x-mailseal-"
MAX_VALUE_CHARACTERS = 500
MAX_STRIP_ROUNDS = 20
MAX_SIGNER_FIELDS = 40
"""In one mail: next hops refuse a header of more than some 100 KB. Signers beyond are in the verdict all the same."""
_NO_SIGNERS = ReasonCode.NO_SIGNERS

# What a reader does not see between the letters of a tag (default ignorable code points).
_INVISIBLE = (
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]*+"
)


def forged_fields(root: Entity) -> list[HeaderField]:
    """Fields of the top header that only this gateway may write, or that some reader would take for such."""
    return [field for field in root.fields if seen_names(unfolded(field.raw(root.buffer)), PREFIX)]


def without_tags(subject: str, settings: Settings) -> str:
    """The subject without anything that reads like one of our tags, however often and however spaced."""
    if "[" not in subject and not _has_plain_tag(settings):
        return subject
    pattern = _tags_pattern(_tags(settings))
    if pattern is None:
        return subject
    cleaned = subject
    for _ in range(MAX_STRIP_ROUNDS):  # taking one tag out may join the halves of another
        shorter = pattern.sub("", cleaned)
        if shorter == cleaned:
            return subject if cleaned == subject else " ".join(cleaned.split())
        cleaned = shorter
    return ""


def _tags(settings: Settings) -> tuple[str, ...]:
    return (settings.tag_decrypted, settings.tag_signed_by, settings.tag_signed_mismatch, settings.tag_invalid)


def _has_plain_tag(settings: Settings) -> bool:
    return any(tag and "[" not in tag for tag in _tags(settings))


@lru_cache(maxsize=256)
def _tags_pattern(tags: tuple[str, ...]) -> re.Pattern[str] | None:
    # Built from settings, but only of escaped literals and one bounded class, so it runs in linear time.
    alternatives = []
    for tag in tags:
        words = [_word_pattern(word) for word in tag.split()]
        if words:
            alternatives.append((_INVISIBLE + r"\s{0,8}" + _INVISIBLE).join(words))
    return re.compile("|".join(alternatives), re.IGNORECASE) if alternatives else None


def _word_pattern(word: str) -> str:
    pieces = [_INVISIBLE.join(map(re.escape, piece)) for piece in word.split("{signer}")]
    return r"[^\[\]]{0,320}".join(pieces)


def tags_for(layers: Sequence[Layer], settings: Settings) -> list[str]:
    """The subject tags that the layers of an opened mail have earned."""
    if not settings.subject_tags:
        return []
    tags = []
    if any(layer.ok and layer.key is not None for layer in layers):
        tags.append(settings.tag_decrypted)
    signed = [layer for layer in layers if layer.signers or _is_broken_signature(layer)]
    if signed:
        tags.append(_signature_tag(signed, settings))
    return [tag for tag in tags if tag]


def _is_broken_signature(layer: Layer) -> bool:
    """A signature of which not even the signers can be read; certificates alone are none."""
    return layer.kind.endswith("-signed") and not layer.ok and not (layer.reason and layer.reason.code is _NO_SIGNERS)


def _signature_tag(signed: Sequence[Layer], settings: Settings) -> str:
    best = next((layer for layer in signed if sender_signed(layer)), None)
    if best is not None:
        return settings.tag_signed_by.replace("{signer}", _name(best.signers[0]))
    layer = signed[0]
    if layer.covers and layer.signers and all(one.verified and one.trusted for one in layer.signers):
        return settings.tag_signed_mismatch.replace("{signer}", _name(layer.signers[0]))
    return settings.tag_invalid


def _name(signer: SignerReport) -> str:
    # A certificate's text is data: no brackets that could look like another tag, no line ends.
    text = signer.addresses[0] if signer.addresses else signer.subject
    return re.sub(r"[\[\]\x00-\x1f\x7f]", "", text)[:120]


def sender_signed(layer: Layer) -> bool:
    """Signed by the sender: the layer covers all that is shown and every signature on it is good."""
    return layer.ok and layer.covers and bool(layer.signers) and all(one.good for one in layer.signers)


def result_headers(layers: Sequence[Layer]) -> list[tuple[str, str]]:
    """The result headers of an opened mail, a set per layer, in order."""
    if not layers:
        return []
    headers = [
        ("X-Mailseal-Decrypted", _yes(any(layer.ok and layer.key is not None for layer in layers))),
        ("X-Mailseal-Signed-By-Sender", _yes(any(sender_signed(layer) for layer in layers))),
    ]
    left = MAX_SIGNER_FIELDS
    for number, layer in enumerate(layers, 1):
        headers.append((f"X-Mailseal-Layer-{number}", _value(_layer_parts(layer))))
        for order, signer in enumerate(layer.signers[:left], 1):
            headers.append((f"X-Mailseal-Layer-{number}-Signer-{order}", _value(_signer_parts(signer))))
        left -= min(left, len(layer.signers))
    return headers


def _layer_parts(layer: Layer) -> Iterable[tuple[str, str]]:
    yield "kind", layer.kind
    yield "ok", _yes(layer.ok)
    yield "part", layer.part
    yield "algorithm", layer.algorithm.replace(" ", "-")
    yield "integrity", layer.integrity or ""
    yield "key", (layer.key or "")[:40]
    yield "whole-message", _yes(layer.covers)
    yield "reason", layer.reason.code if layer.reason else ""


def _signer_parts(signer: SignerReport) -> Iterable[tuple[str, str]]:
    yield "verified", _yes(signer.verified)
    yield "trusted", _yes(signer.trusted)
    yield "matches-from", _yes(signer.matches_from)
    yield "fingerprint", signer.fingerprint
    yield "reason", signer.reason.code if signer.reason else ""
    # Last, since they may be as long as the signer likes and the value is cut; a comma in one must not make two.
    yield "address", ",".join(one.replace(",", "?") for one in signer.addresses[:5])


def _value(parts: Iterable[tuple[str, str]]) -> str:
    # Parts are joined by "; ": a value that came from outside must not be able to write a part of its own.
    return "; ".join(f"{name}={_plain(value)}" for name, value in parts if value)[:MAX_VALUE_CHARACTERS]


def _plain(text: str) -> str:
    return re.sub(r"[^\x21-\x3a\x3c-\x7e]", "?", text)


def _yes(value: bool) -> str:  # noqa: FBT001 -- a formatter of truth values
    return "yes" if value else "no"
