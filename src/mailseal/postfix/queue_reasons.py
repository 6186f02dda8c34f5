"""Why a recipient waits, in plain words: Postfix's texts (smtp(8), lmtp(8), qmgr(8)) by kind, with the next hop."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from mailseal.postfix.queue_mails import Awaiting, QueuedMail


class WaitKind(StrEnum):
    """The kinds of reason: also the labels of a metric, so that they are few."""

    NOT_TRIED = "not-tried"
    HELD = "held"
    MAILSEAL = "mailseal"
    MAILSEAL_AWAY = "mailseal-away"
    TOLD_LATER = "told-later"
    UNREACHABLE = "unreachable"
    LOST = "lost"
    NO_ADDRESS = "no-address"
    TLS = "tls"
    LOGIN = "login"
    UNANSWERED = "unanswered"
    LOCAL = "local"
    OTHER = "other"


WORDS: dict[WaitKind, str] = {
    WaitKind.NOT_TRIED: "not tried yet, or under way now",
    WaitKind.HELD: "on hold until somebody releases it",
    WaitKind.MAILSEAL: "Mailseal deferred it",
    WaitKind.MAILSEAL_AWAY: "Mailseal does not answer",
    WaitKind.TOLD_LATER: "the next server said: later",
    WaitKind.UNREACHABLE: "the next server cannot be reached",
    WaitKind.LOST: "the connection to the next server broke off, or it was silent",
    WaitKind.NO_ADDRESS: "the next server was not found in the DNS",
    WaitKind.TLS: "no TLS as the policy wants it",
    WaitKind.LOGIN: "the next server does not take our login",
    WaitKind.UNANSWERED: "Mailseal gave no answer where it goes and by what TLS, or none that a TLS policy allows",
    WaitKind.LOCAL: "this machine had no room, or a service of Postfix failed",
    WaitKind.OTHER: "another reason",
}


@dataclass(frozen=True, slots=True)
class Wait:
    """Why one recipient waits. `next_hop` is the host that the mail was to go to, "" if it is not told."""

    kind: WaitKind
    next_hop: str = ""
    text: str = ""


_SUSPENDED = "delivery temporarily suspended: "
_HOST = r"(?P<name>[^\s\[\]]{1,255})\[(?P<address>[^\]\s]{1,255})\](?::(?P<port>\d{1,5}))?"
_ASKED = r"(?:4\.3\.0 )?(?:address resolver failure|Temporary lookup failure|.*lookup (?:error|fail))"
_SERVICE = r"(?:4\.3\.0 )?(?:mail transport unavailable|unknown mail transport error|queue file write error)"
_ROWS: tuple[tuple[WaitKind, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        (WaitKind.LOGIN, rf"SASL authentication failed(?:; (?:server|cannot authenticate to server) {_HOST})?"),
        (WaitKind.TLS, rf"(?:TLS is required|Cannot start TLS|Server certificate)(?:[^\[]*?host {_HOST})?"),
        (WaitKind.TOLD_LATER, rf"host {_HOST} (?:said|refused to talk to me):"),
        (WaitKind.UNREACHABLE, rf"connect to {_HOST}: "),
        (WaitKind.LOST, rf"lost connection with {_HOST} while"),
        (WaitKind.LOST, rf"conversation with {_HOST} timed out while"),
        (WaitKind.UNANSWERED, r"client TLS configuration problem"),  # as a table without an answer reads
        (WaitKind.TLS, r".*\b(?:TLS|TLSA|DANE|DNSSEC|certificate)\b"),
        (WaitKind.NO_ADDRESS, r".*[Nn]ame service error for name=(?P<name>[^\s]{1,255})"),
        (WaitKind.NO_ADDRESS, r"(?:Host or domain name not found|unable to look up host|Host not found)"),
        (WaitKind.UNANSWERED, _ASKED),
        (WaitKind.LOCAL, _SERVICE),
        (WaitKind.LOCAL, r".*(?:[Ii]nsufficient system storage|No space left on device|Too many open files)"),
    )
)
_OURS = {WaitKind.TOLD_LATER: WaitKind.MAILSEAL, WaitKind.UNREACHABLE: WaitKind.MAILSEAL_AWAY}


def why(mail: QueuedMail, recipient: Awaiting, ours: Collection[str]) -> Wait:
    """The reason by its text; `ours` are the names of the sockets by which Postfix hands mail to Mailseal."""
    if mail.queue == "hold":
        return Wait(WaitKind.HELD, text=recipient.reason)
    text = recipient.reason
    if not text:
        return Wait(WaitKind.NOT_TRIED)
    bare = text.removeprefix(_SUSPENDED)
    for kind, pattern in _ROWS:
        if (found := pattern.match(bare)) is not None:
            groups = found.groupdict()
            socket = PurePosixPath(groups.get("address") or "").name
            if socket in ours:
                return Wait(_OURS.get(kind, WaitKind.MAILSEAL_AWAY), "Mailseal", text)
            return Wait(kind, _next_hop(groups) or _domain(recipient), text)
    return Wait(WaitKind.OTHER, _domain(recipient), text)


def _next_hop(groups: dict[str, str | None]) -> str:
    name, port = groups.get("name") or "", groups.get("port")
    return f"{name}:{port}" if port and port != "25" else name


def _domain(recipient: Awaiting) -> str:
    return recipient.address.rpartition("@")[2]
