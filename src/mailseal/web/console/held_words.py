"""The words and tones of the quarantine: why a mail is held, where it is, what was done with it."""

from collections.abc import Mapping
from types import MappingProxyType

from django.utils.translation import gettext_lazy as _

from mailseal.policy.held import WhyHeld
from mailseal.store.quarantine import State
from mailseal.store.quarantine_actions import Way
from mailseal.store.quarantine_events import Action
from mailseal.web.words import Word

WHYS: Mapping[str, Word] = MappingProxyType(
    {
        WhyHeld.DLP: Word(_("DLP"), "held", "held"),
        WhyHeld.MUST_ENCRYPT_FAILED: Word(_("Could not be encrypted"), "warn", "lock"),
        WhyHeld.AMBIGUOUS: Word(_("Can be read in several ways"), "warn", "warn"),
    }
)

STATES: Mapping[str, Word] = MappingProxyType(
    {
        State.HELD: Word(_("Held"), "held", "held"),
        State.RELEASING: Word(_("Being released"), "info", "clock"),
        State.RELEASED: Word(_("Released"), "good", "check"),
        State.DELETED: Word(_("Deleted"), "outline"),
        State.EXPIRED: Word(_("Expired"), "outline"),
    }
)

WAYS: Mapping[str, Word] = MappingProxyType(
    {
        Way.POLICY: Word(_("as policy says")),
        Way.ENCRYPTED: Word(_("encrypted")),
        Way.AS_IS: Word(_("as it came")),
    }
)

EVENTS: Mapping[str, Word] = MappingProxyType(
    {
        Action.HELD: Word(_("Held"), "held"),
        Action.SHOWN: Word(_("Looked at")),
        Action.EXPORTED: Word(_("Exported"), "warn"),
        Action.RELEASE_ASKED: Word(_("Release begun"), "accent"),
        Action.AS_IS_ASKED: Word(_("Release as it came asked for"), "warn"),
        Action.AS_IS_APPROVED: Word(_("Release as it came approved"), "accent"),
        Action.AS_IS_DENIED: Word(_("Release as it came denied"), "bad"),
        Action.RELEASED: Word(_("Released"), "good"),
        Action.HELD_AGAIN: Word(_("Held again"), "held"),
        Action.NOT_RELEASED: Word(_("Not released"), "bad"),
        Action.EXTENDED: Word(_("Time changed")),
        Action.EXPIRY_NOTICED: Word(_("Said to expire soon")),
        Action.EXPIRED: Word(_("Expired"), "bad"),
        Action.DELETED: Word(_("Deleted"), "bad"),
    }
)


def word(table: Mapping[str, Word], name: str) -> Word:
    """The word of a name, itself for one of another release."""
    return table.get(name, Word(name))
