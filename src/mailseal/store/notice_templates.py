"""Templates of notices at their levels: set, unset, listed; checked before they are kept."""

from collections.abc import Sequence

from mailseal.mail.address import Address
from mailseal.notices.choose import StoredTemplate, checked
from mailseal.notices.errors import TemplateError
from mailseal.notices.template import Part
from mailseal.policy.notice_kind import NoticeKind
from mailseal.policy.settings import Level, levels_for
from mailseal.store.addresses import remember
from mailseal.store.audit import facts, record
from mailseal.store.keyset import behind
from mailseal.store.notice_models import NoticeTemplateRow
from mailseal.store.owners import read_owner
from mailseal.store.row import utc_now
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import reads, writes


@writes
def set_template(owner: str, kind: NoticeKind, language: str, part: Part, text: str) -> StoredTemplate:
    """Keep one part for "" (everybody), `*.example.com`, `example.com` or an address.

    Raises TemplateError for one that cannot be used, AddressError.
    """
    level, key = read_owner(owner)
    stored = StoredTemplate(key, kind, language, part, text)
    checked(stored)
    one = {"owner": key, "kind": kind.value, "language": language, "part": part.value}
    before = facts(NoticeTemplateRow.objects.filter(**one).first(), "text")
    NoticeTemplateRow.objects.update_or_create(
        owner=key,
        kind=kind.value,
        language=language,
        part=part.value,
        defaults={"level": level, "text": text, "changed": utc_now()},
    )
    if level is Level.ADDRESS:
        remember([key])
    bump(Scope.SETTINGS)
    record("notices", "set-template", " ".join(filter(None, one.values())), before=before, after={"text": text})
    return stored


@writes
def unset_template(owner: str, kind: NoticeKind, language: str, part: Part | None = None) -> int:
    """Let the owner inherit a part, or all parts, again; how many were set there. Raises AddressError."""
    rows = NoticeTemplateRow.objects.filter(owner=read_owner(owner)[1], kind=kind.value, language=language)
    if part is not None:
        rows = rows.filter(part=part.value)
    texts = dict(rows.values_list("part", "text"))
    deleted, _ = rows.delete()
    bump(Scope.SETTINGS)
    if texts:
        record("notices", "unset-template", f"{read_owner(owner)[1]} {kind.value} {language}".strip(), before=texts)
    return int(deleted)


@reads
def list_templates(
    owner: str | None = None, *, after: StoredTemplate | None = None, limit: int | None = None
) -> tuple[StoredTemplate, ...]:
    """All that are stored, or those for exactly this owner; behind one in that order. Raises AddressError."""
    rows = NoticeTemplateRow.objects.order_by("owner", "kind", "language", "part")
    if owner is not None:
        rows = rows.filter(owner=read_owner(owner)[1])
    if after is not None:
        last = {"owner": after.owner, "kind": after.kind.value, "language": after.language, "part": after.part.value}
        rows = rows.filter(behind(last))
    return _known(list(rows[:limit]))


@reads
def templates_for(owner: str) -> tuple[StoredTemplate, ...]:
    """What is stored at the levels that count for an owner, nearest first; raises AddressError."""
    level, key = read_owner(owner)
    if level is Level.ADDRESS:
        owners = [one for _, one in levels_for(Address.parse(key))]
    elif level is Level.GLOBAL:
        owners = [""]
    else:
        domain = key.removeprefix("*.")
        below = levels_for(Address("", domain, f"@{domain}"))
        owners = [one for of, one in below if of in {Level.GLOBAL, Level.WILDCARD}] + [key]
    order = list(reversed(list(dict.fromkeys(owners))))
    return tuple(
        sorted(_known(list(NoticeTemplateRow.objects.filter(owner__in=order))), key=lambda one: order.index(one.owner))
    )


@reads
def broken() -> tuple[tuple[StoredTemplate, str], ...]:
    """Those that cannot be used, such as one of an earlier release, and why: the shipped ones stand in for them."""
    found = []
    for one in _known(list(NoticeTemplateRow.objects.order_by("owner", "kind", "language", "part"))):
        try:
            checked(one)
        except TemplateError as error:
            found.append((one, str(error)))
    return tuple(found)


def _known(rows: Sequence[NoticeTemplateRow]) -> tuple[StoredTemplate, ...]:
    """Without those of kinds that this release does not know."""
    kinds, parts = set(NoticeKind), set(Part)
    return tuple(
        StoredTemplate(row.owner, NoticeKind(row.kind), row.language, Part(row.part), row.text)
        for row in rows
        if row.kind in kinds and row.part in parts
    )
