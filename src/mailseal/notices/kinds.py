"""Every kind of notice: what it is about, who may be told, and the variables that its templates may use.

A variable is a text or a number, a list of texts, or a list of records. There is none for what was found in a mail.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailseal.policy.notice_kind import NoticeKind, Role


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable. `many`: a list; `fields`: its elements are records of these texts and numbers, else texts."""

    help: str
    many: bool = False
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of notice: its help, the roles of its readers, the names of its variables besides COMMON."""

    help: str
    roles: tuple[Role, ...]
    variables: tuple[str, ...] = ()

    @property
    def known(self) -> Mapping[str, Variable]:
        """The variables of its templates by name."""
        return {name: VARIABLES[name] for name in (*COMMON, *self.variables)}


VARIABLES: Mapping[str, Variable] = {
    "event": Variable("what has happened, in the notice's language"),
    "role": Variable("why the reader is told: `manager`, `sender` or `recipient`"),
    "reader": Variable("the address of the reader"),
    "gateway": Variable("the name of this gateway"),
    "time": Variable("when it happened, UTC"),
    "sender": Variable("the sender of the mail; empty for the null sender"),
    "recipients": Variable("the recipients of the mail whom it concerns", many=True),
    "message_id": Variable("the Message-ID of the mail"),
    "mail": Variable("Mailseal's own ID of the mail, for the log"),
    "subject": Variable("the subject of the mail; empty unless `notice_subject` is set"),
    "found": Variable(
        "the patterns that were found",
        many=True,
        fields={"name": "the pattern's name", "count": "how often", "action": "what it demands, in words"},
    ),
    "reasons": Variable("why, in English", many=True),
    "held": Variable(
        "the copies that are or were held",
        many=True,
        fields={"recipient": "whose copy", "id": "its ID in the quarantine", "expires": "until when, UTC"},
    ),
    "expires": Variable("when the first of the copies expires, UTC"),
    "method": Variable("by what the mail was encrypted"),
    "way": Variable("how it was released: `policy`, `encrypted` or `as-is`"),
    "count": Variable("how many notices this one stands for"),
    "more": Variable("how many of them are not listed"),
    "notices": Variable(
        "the notices that this one stands for, oldest first",
        many=True,
        fields={
            "time": "when it happened, UTC",
            "sender": "the sender of the mail",
            "recipients": "its recipients",
            "subject": "as above",
            "message_id": "its Message-ID",
            "found": "the names of the patterns that were found",
            "id": "the ID in the quarantine, if it is or was held",
        },
    ),
}

COMMON = ("event", "role", "reader", "gateway", "time")
ABOUT = ("sender", "recipients", "message_id", "mail", "subject")
HELD = (*ABOUT, "reasons", "held", "expires")

TO_SENDER = (Role.SENDER,)
TO_BOTH = (Role.MANAGER, Role.SENDER)
TO_ALL = (Role.MANAGER, Role.SENDER, Role.RECIPIENT)

KINDS: Mapping[NoticeKind, Kind] = {
    NoticeKind.ENCRYPTED: Kind("a mail was encrypted and sent", TO_BOTH, (*ABOUT, "method")),
    NoticeKind.NOT_ENCRYPTED: Kind(
        "a mail had to be encrypted, could not be and was not sent", TO_BOTH, (*ABOUT, "reasons")
    ),
    NoticeKind.MUST_ENCRYPT_HELD: Kind("a mail had to be encrypted, could not be and is held", TO_BOTH, HELD),
    NoticeKind.AMBIGUOUS_HELD: Kind("a mail that can be read in several ways is held", TO_BOTH, HELD),
    NoticeKind.DLP_WARN: Kind("patterns were found in a mail that went on", TO_BOTH, (*ABOUT, "found")),
    NoticeKind.DLP_QUARANTINE: Kind("a mail is held for what was found in it", TO_BOTH, (*HELD, "found")),
    NoticeKind.DLP_BLOCK: Kind("a mail was refused for what was found in it", TO_BOTH, (*ABOUT, "found")),
    NoticeKind.RELEASED: Kind("a held mail was released", TO_ALL, (*HELD, "way")),
    NoticeKind.DELETED: Kind("a held mail was deleted by somebody", TO_ALL, HELD),
    NoticeKind.EXPIRES_SOON: Kind("a held mail is deleted soon unless somebody decides", TO_BOTH, HELD),
    NoticeKind.EXPIRED: Kind("a held mail was deleted because nobody has decided in time", TO_ALL, HELD),
    NoticeKind.SUMMARY: Kind("more than is told one by one (`notices_per_hour`)", TO_ALL, ("count", "more", "notices")),
}
