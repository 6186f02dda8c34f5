"""Patterns for tests."""

from mailseal.policy.dlp.model import Kind, Mask, Pattern
from mailseal.policy.model import Action


def a_pattern(name: str, text: str = "", **more) -> Pattern:
    """Keywords (the name, unless told otherwise) that must be encrypted."""
    values = {"kind": Kind.KEYWORDS, "action": Action.MUST_ENCRYPT, "mask": Mask.ALL} | more
    return Pattern(id="", revision=0, name=name, text=text or name, **values)
