"""The words and tones of what became of mail, in one place for every page."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from django.utils.functional import Promise
from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _

from mailseal.policy.model import Fate, MethodName, Treatment
from mailseal.policy.reason import Reason, ReasonCode
from mailseal.policy.settings import setting
from mailseal.policy.text import TEXTS, render
from mailseal.ports import Hop
from mailseal.store.quarantine_events import Action


@dataclass(frozen=True, slots=True)
class Word:
    """What people read, the tone of its badge and its icon."""

    text: str | Promise
    tone: str = ""
    icon: str = ""


SHORT = 16
"""So many digits of a fingerprint are shown among other words."""

FATES: Mapping[str, Word] = MappingProxyType(
    {
        Fate.RELAYED: Word(_("Delivered"), "good", "check"),
        Fate.NOTIFIED: Word(_("Sender told"), "warn", "bell"),
        Fate.KEPT: Word(_("Kept for the recipient"), "info", "clock"),
        Fate.HELD: Word(_("Held"), "held", "held"),
        Fate.DEFERRED: Word(_("Deferred"), "warn", "clock"),
        Fate.REFUSED: Word(_("Refused"), "bad", "refused"),
    }
)
"""`Fate`."""

WOULD: Mapping[str, Word] = MappingProxyType(
    {
        Fate.RELAYED: Word(_("Would be sent on"), "good", "check"),
        Fate.NOTIFIED: Word(_("Its sender would be told"), "warn", "bell"),
        Fate.KEPT: Word(_("Would be kept for the recipient"), "info", "clock"),
        Fate.HELD: Word(_("Would be held"), "held", "held"),
        Fate.DEFERRED: Word(_("Would be deferred"), "warn", "clock"),
        Fate.REFUSED: Word(_("Would be refused"), "bad", "refused"),
    }
)
"""The same in the simulator."""

HOPS: Mapping[str, str | Promise] = MappingProxyType(
    {
        Hop.INSIDE: _("Would be sent on to the internal mail server"),
        Hop.OUTSIDE: _("Would be sent on to the outside"),
        Hop.NEIGHBOUR: _("Would go back to the neighbour that it came from"),
    }
)
"""`Hop`."""

TREATMENTS: Mapping[str, Word] = MappingProxyType(
    {
        Treatment.NONE: Word(_("Not changed"), "outline"),
        Treatment.PASSED: Word(_("Passed as it was"), "outline"),
        Treatment.SIGNED: Word(_("Signed"), "info", "signature"),
        Treatment.ENCRYPTED: Word(_("Encrypted"), "accent", "lock"),
        Treatment.SIGNED_ENCRYPTED: Word(_("Signed, encrypted"), "accent", "lock"),
        Treatment.OPENED: Word(_("Opened"), "info", "unlock"),
    }
)
"""`Treatment`."""

METHODS: Mapping[str, str | Promise] = MappingProxyType({MethodName.SMIME: "S/MIME", MethodName.PGP: "OpenPGP"})
"""`MethodName`."""

DIRECTIONS: Mapping[str, Word] = MappingProxyType(
    {"in": Word(_("Incoming"), "", "newer"), "out": Word(_("Outgoing"), "", "older")}
)
"""The way of a mail: "in" or "out"."""

WHAT_HAPPENED: Mapping[str, Word] = MappingProxyType(
    {
        Action.HELD: Word(_("Held"), "held", "held"),
        Action.SHOWN: Word(_("Looked at")),
        Action.EXPORTED: Word(_("Exported"), "warn", "download"),
        Action.RELEASE_ASKED: Word(_("Release asked for"), "info"),
        Action.AS_IS_ASKED: Word(_("Release as it is asked for"), "warn"),
        Action.AS_IS_APPROVED: Word(_("Release as it is approved"), "good"),
        Action.AS_IS_DENIED: Word(_("Release as it is denied"), "bad"),
        Action.RELEASED: Word(_("Released"), "good", "check"),
        Action.HELD_AGAIN: Word(_("Held again"), "held", "held"),
        Action.NOT_RELEASED: Word(_("Could not be released"), "bad"),
        Action.EXTENDED: Word(_("Kept for longer"), "info", "clock"),
        Action.EXPIRY_NOTICED: Word(_("Told that it expires"), "info", "bell"),
        Action.EXPIRED: Word(_("Expired"), "warn", "clock"),
        Action.DELETED: Word(_("Deleted"), "bad", "delete"),
    }
)
"""What was done with a held mail, or happened to it: `quarantine_events.Action`."""


_VALUE = re.compile(r"\{\w+\}")


def reason_text(reason: Reason, about: str = "") -> str:
    """A reason in the reader's language, beginning like a sentence; `about`: the address that need not be named."""
    told = tuple(_parameter(one) for one in reason.parameters if one != ("address", about))
    text = render(Reason(reason.code, told), gettext(TEXTS[reason.code]))
    return text[:1].upper() + text[1:]


def any_reason_text(code: ReasonCode) -> str:
    """What reasons of a kind say, without their values."""
    text = _VALUE.sub("…", gettext(TEXTS[code]))
    return text[:1].upper() + text[1:]


def _parameter(parameter: tuple[str, str]) -> tuple[str, str]:
    name, value = parameter
    if name == "action":
        return name, value_text(value)
    if name == "fingerprint":
        return name, value[:SHORT]
    return name, str(METHODS.get(value, value))


def value_text(value: str) -> str:
    """A value of a closed list of the core or the store, such as an action of DLP, for people."""
    return pgettext("value", value)


def setting_text(name: str, value: str) -> str:
    """A value of a setting for people: those of a closed list have words, all others are what somebody has written."""
    kind = setting(name).type
    return pgettext("setting", value) if kind is bool or issubclass(kind, StrEnum) else value
