"""Patterns for tests."""

from mailseal.policy.dlp.model import Kind, Mask, Pattern
from mailseal.policy.model import Action
from mailseal.store.dlp_models import DlpPatternRow
from mailseal.store.dlp_names import name_key
from mailseal.store.dlp_rows import columns_of


def a_pattern(name: str, text: str = "", **more) -> Pattern:
    """Keywords (the name, unless told otherwise) that must be encrypted."""
    values = {"kind": Kind.KEYWORDS, "action": Action.MUST_ENCRYPT, "mask": Mask.ALL} | more
    return Pattern(id="", revision=0, name=name, text=text or name, **values)


def stored(*patterns: Pattern, owner: str = "") -> None:
    """Store patterns without the trial that each goes through when an administrator does it."""
    rows = [DlpPatternRow(key=name_key(one.name), owner=owner, **columns_of(one)) for one in patterns]
    DlpPatternRow.objects.bulk_create(rows)
