"""The open path: for internal recipients decrypt, verify, mark, and pass on (RFC 8551; attacks.md on EFAIL).

A recipient's copy is opened only with keys that are that recipient's. A layer is taken off only where it is wrapped
round the whole mail, or round the whole of what a signature covers; anything deeper is reported, never decrypted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from mailseal.mail import reply
from mailseal.mail.address import Address
from mailseal.mail.envelope import Origin
from mailseal.mail.header import authors, decoded_subject, encode_value
from mailseal.mail.message import Octets
from mailseal.mail.mime import Entity, HeaderField
from mailseal.methods import METHODS, Method
from mailseal.methods.layer import Layer, Opening
from mailseal.pipeline.assemble import assemble, entity_chunks
from mailseal.pipeline.authenticity import Authenticity
from mailseal.pipeline.copy import Copy, Task
from mailseal.pipeline.hidden_subject import subject_of_opened
from mailseal.pipeline.marks import forged_fields, result_headers, sender_signed, tags_for, without_tags
from mailseal.pipeline.outgoing import blind_fields
from mailseal.pipeline.own_notice import own_mark
from mailseal.pipeline.run import Run, failure_reason
from mailseal.policy.model import Harvest, MethodName, Party, Treatment
from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.policy.settings import Settings
from mailseal.policy.trigger import strip_triggers
from mailseal.ports import Gateway, Hop

MAX_LAYERS = 10
MAX_NESTED_REPORTS = 20
MAX_OPENED_BYTES = 200 * 1024 * 1024
MAX_OPENED_RATIO = 50
"""How many times as large as the mail what is compressed in it may be, beyond ALWAYS_OPENED_BYTES: all of it takes five
times its size in memory for a moment, and texts do not shrink to less than that."""
ALWAYS_OPENED_BYTES = 32 * 1024 * 1024

Held = tuple[tuple[MethodName, tuple[str, ...]], ...]


class Protection(Enum):
    """What protection a mail brings. Of mail that is only clear-signed, all readers share one copy."""

    NONE = auto()
    CLEAR_SIGNED = auto()
    SEALED = auto()


@dataclass(frozen=True, slots=True)
class Opened:
    """A mail with its layers taken off. `content` is the entity to deliver; None: leave the mail as it is."""

    layers: tuple[Layer, ...]
    content: Entity | None
    harvested: tuple[Harvest, ...]

    @property
    def decrypted(self) -> bool:
        """At least one encrypted layer was opened."""
        return any(layer.ok and layer.key is not None for layer in self.layers)

    @property
    def signed_by_sender(self) -> bool:
        """A good signature by the one From address covers all that is shown."""
        return any(sender_signed(layer) for layer in self.layers)

    @property
    def covers_whole_message(self) -> bool:
        """Some signature covers all that is shown."""
        return any(layer.covers and layer.signers for layer in self.layers)

    @property
    def details(self) -> tuple[tuple[str, str], ...]:
        """Layers and signers as the log shows them."""
        rows = []
        for number, layer in enumerate(self.layers, 1):
            words = (layer.kind, layer.algorithm, "" if layer.ok else "not ok")
            rows.append((f"layer-{number}", " ".join(word for word in words if word)))
            rows += [
                ("signer", f"{','.join(one.addresses)} {'good' if one.good else 'not good'}") for one in layer.signers
            ]
        return tuple(rows)

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """What the log says: that it was opened, or why not."""
        if not self.layers:
            return (because(ReasonCode.NOTHING_TO_OPEN),)
        opened = [because(ReasonCode.OPENED, kind=layer.kind) for layer in self.layers if layer.ok]
        return (*opened, *(layer.reason for layer in self.layers if layer.reason is not None))


NOTHING_OPENED = Opened((), None, ())


def open_mail(root: Entity, opening: Opening) -> Opened:
    """Walk the layers from the outside in."""
    layers: list[Layer] = []
    harvested: list[Harvest] = []
    entity, content = root, None
    while (found := _recognise(entity, opening.party.settings)) is not None:
        method, kind = found
        if len(layers) >= MAX_LAYERS:
            layers.append(Layer(kind, len(layers), entity.path, ok=False, reason=because(ReasonCode.TOO_DEEP)))
            break
        peeled = method.peel(entity, kind, opening, len(layers))
        layers += peeled.layers
        harvested += peeled.harvested
        if peeled.inner is None:
            break
        if peeled.inner.buffer is not entity.buffer:
            opening = replace(opening, max_bytes=max(0, opening.max_bytes - len(peeled.inner.buffer)))
        entity = peeled.inner
        if peeled.decrypted or opening.party.settings.remove_signature:
            content = entity
    layers += _nested(entity, opening, len(layers))
    return Opened(tuple(layers), content, tuple(dict.fromkeys(harvested)))


def _recognise(entity: Entity, settings: Settings) -> tuple[Method, str] | None:
    for method in METHODS.values():
        kind = method.recognise(entity, settings)
        if kind is not None:
            return method, kind
    return None


def _nested(entity: Entity, opening: Opening, depth: int) -> list[Layer]:
    """Protected parts beside other parts: signatures are checked and reported, nothing is decrypted in place."""
    reports: list[Layer] = []
    waiting = list(entity.children)
    while waiting and len(reports) < MAX_NESTED_REPORTS:
        part = waiting.pop(0)
        found = _recognise(part, opening.party.settings)
        if found is None:
            waiting += part.children
            continue
        method, kind = found
        whole = because(ReasonCode.NOT_WHOLE_MESSAGE)
        if kind.endswith("-signed"):
            layers = method.peel(part, kind, opening, depth).layers
            reports += [replace(layer, covers=False, reason=layer.reason or whole) for layer in layers]
        else:
            reports.append(Layer(kind, depth, part.path, ok=False, reason=whole, covers=False))
    return reports


def open_tasks(run: Run, recipients: Sequence[tuple[int, Party]]) -> list[Task]:
    """One task per set of recipients whose copy is opened with the same keys and marked the same way."""
    protections: dict[Settings, Protection] = {}
    groups: dict[tuple[Held, Settings], list[tuple[int, Party]]] = {}
    for index, party in recipients:
        held: Held = ()
        if party.settings not in protections:
            protections[party.settings] = _protection(run, party.settings)
        try:
            if party.settings.log_subject and run.gateway.directory.party(run.envelope.sender).settings.log_subject:
                run.subject_for.add(run.address(index).key)
            if protections[party.settings] is Protection.SEALED:
                held = tuple(held_by(run.gateway, run.address(index)).items())
        except BaseException as error:  # noqa: BLE001 -- one recipient's failure, or panic, must not touch the others
            run.defer(index, failure_reason(error), reply.STORE_UNAVAILABLE)
            continue
        groups.setdefault((held, party.settings), []).append((index, party))
    authenticity = Authenticity(run)
    return [
        _task(run, members, dict(held), authenticity, protected=protections[settings] is not Protection.NONE)
        for (held, settings), members in groups.items()
    ]


def held_by(gateway: Gateway, reader: Address) -> dict[MethodName, tuple[str, ...]]:
    """The keys that mail to a reader may be opened with, by method: fingerprints."""
    return {name: method.held(gateway, reader) for name, method in METHODS.items()}


def _protection(run: Run, settings: Settings) -> Protection:
    """What protection the mail brings for readers with these settings."""
    if run.fault is not None:
        return Protection.NONE
    found = [one for one in run.root.walk() if _recognise(one, settings) is not None]
    if any(one.content_type.type != "multipart/signed" for one in found):
        return Protection.SEALED
    return Protection.CLEAR_SIGNED if found else Protection.NONE


def _task(
    run: Run,
    members: Sequence[tuple[int, Party]],
    held: Mapping[MethodName, tuple[str, ...]],
    authenticity: Authenticity,
    *,
    protected: bool,
) -> Task:
    party = members[0][1]
    indices = tuple(index for index, _ in members)

    def build() -> Copy:
        copy = open_copy(run, party, held, authenticity.forged(), protected=protected)
        if copy.chunks[-1] is run.root.buffer:  # with marks above or without: its signatures stay good
            return copy
        domains = [run.address(index).domain for index in indices]
        return authenticity.stamped(copy, party.settings, domains)

    def fall_back(reason: Reason) -> list[Task]:
        for index in indices:
            run.defer(index, reason)
        return []

    return Task(indices, run.hop(Hop.INSIDE), build, fall_back, lambda _: ())


def open_copy(
    run: Run,
    party: Party,
    held: Mapping[MethodName, tuple[str, ...]],
    forged: Sequence[HeaderField],
    *,
    protected: bool,
) -> Copy:
    """The copy for internal recipients: forged marks off (`forged` among them), layers off, our marks on.

    The last chunk is the received octets if nothing is done but marks put before them.
    """
    opened = NOTHING_OPENED
    if protected:
        opened = open_mail(run.root, _opening(run, party, held))
    fault = () if run.fault is None else (because(ReasonCode.MESSAGE_UNREADABLE, detail=run.fault),)
    harvested = () if fault else _harvested(run.root, opened, party.settings)
    if not fault:
        opened = _tidied(run.root, opened, party.settings)
    from_outside = run.envelope.origin is Origin.OUTSIDE
    kept = own_mark(run.root, run.gateway.notice_keys, run.at)
    return Copy(
        delivered(run.root, opened, party.settings, forged, kept, from_outside=from_outside),
        Treatment.OPENED if any(layer.ok for layer in opened.layers) else Treatment.PASSED,
        headers_only=opened.content is not None,
        eight_bit=opened.content is not None,
        reasons=fault or opened.reasons,
        details=opened.details,
        harvested=harvested,
    )


def _opening(run: Run, party: Party, held: Mapping[MethodName, tuple[str, ...]]) -> Opening:
    gateway = run.gateway
    max_bytes = min(MAX_OPENED_BYTES, max(ALWAYS_OPENED_BYTES, MAX_OPENED_RATIO * len(run.message)))
    return Opening(party, held, gateway.certificates, gateway.pgp, run.at, authors(run.root), max_bytes)


def _harvested(root: Entity, opened: Opened, settings: Settings) -> tuple[Harvest, ...]:
    """What came with signatures, then what came otherwise."""
    content = opened.content or root
    beside = [one for method in METHODS.values() for one in method.harvest(root, content, settings)]
    return tuple(dict.fromkeys((*opened.harvested, *beside)))


def _tidied(root: Entity, opened: Opened, settings: Settings) -> Opened:
    content = opened.content or root
    for method in METHODS.values():
        content = method.tidy(content, settings)
    return opened if content is (opened.content or root) else replace(opened, content=content)


def delivered(
    root: Entity,
    opened: Opened,
    settings: Settings,
    forged: Sequence[HeaderField] = (),
    kept: Sequence[HeaderField] = (),
    *,
    from_outside: bool,
) -> tuple[Octets, ...]:
    """The mail as it is delivered; the received octets, perhaps with marks before them, when nothing needs a change.

    `forged`: further fields to go; `kept`: marks that are ours.
    """
    outside = subject = decoded_subject(root)
    if opened.content is not None and opened.decrypted:
        subject = subject_of_opened(root, opened.content)
    cleaned = without_tags(subject, settings)
    if from_outside:
        cleaned = strip_triggers(cleaned, settings)
    tagged = " ".join([cleaned, *tags_for(opened.layers, settings)]).strip()
    # An encoded word that we cannot decode may be a tag to the reader's program: where tags count, it gets to see
    # what we see.
    as_it_came = tagged == outside and not (settings.subject_tags and "=?" in outside)
    headers = result_headers(opened.layers)
    marked = [field for field in forged_fields(root) if field not in kept]
    remove = [*marked, *forged] + ([] if from_outside else blind_fields(root))
    if as_it_came and not remove and opened.content is None:
        marks = b"".join(encode_value(name, value) for name, value in headers)
        return (marks, root.buffer) if marks else (root.buffer,)
    return assemble(
        root,
        remove=remove,
        subject=None if as_it_came else tagged,
        prepend=headers,
        entity=None if opened.content is None else entity_chunks(opened.content),
    )
