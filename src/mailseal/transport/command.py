"""The arguments of MAIL, RCPT and XFORWARD (RFC 5321 §4.1.2, 1870, 3461, 6152, 6531; Postfix XFORWARD).

Each function takes the text behind the verb and raises CommandError with the reply that the client gets.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from mailseal.errors import PermanentError
from mailseal.mail import reply
from mailseal.mail.address import Address, AddressError
from mailseal.mail.envelope import Client, Recipient
from mailseal.mail.reply import Reply
from mailseal.transport.xtext import decode_xtext, is_xtext

MAX_ENVID_CHARACTERS = 100
MAX_ORCPT_CHARACTERS = 500
MAX_SIZE_DIGITS = 20
MAX_TOKEN_CHARACTERS = 255

_PATH = re.compile(r'\s*<([^<>"\s]*|[^<>"\s]*"(?:[^"\\]|\\.)*"@[^<>"\s]+)>(?: +(.*))?', re.DOTALL)
_SOURCE_ROUTE = re.compile(r"@[^@:,]+(?:,@[^@:,]+)*:")
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9\-]*)(?:=([!-<>-~\u0080-\U0010ffff]+))?")
_ORCPT = re.compile(r"[A-Za-z0-9\-]+;(.+)")
_NOTIFY = frozenset({"SUCCESS", "FAILURE", "DELAY"})
_UNTAME = re.compile(r"[^A-Za-z0-9_.:\[\]\-]")
_XFORWARD_NAMES = frozenset({"NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE"})
_UNAVAILABLE = frozenset({"[UNAVAILABLE]", "[TEMPUNAVAIL]"})


class CommandError(PermanentError):
    """The command is refused with `reply`; the session goes on."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


@dataclass(slots=True)
class Sender:
    """What a MAIL command says."""

    address: Address | None
    size: int = 0
    eight_bit: bool = False
    smtputf8: bool = False
    ret: str | None = None
    envid: str | None = None


def read_mail(argument: str, *, dsn: bool) -> Sender:
    """Read `FROM:<path> parameters`; RET and ENVID only with `dsn`."""
    mailbox, rest = _path(argument, "FROM:", reply.BAD_SENDER)
    sender = Sender(_address(mailbox, reply.BAD_SENDER) if mailbox else None)
    if rest:
        for keyword, value in _parameters(rest):
            setter = _MAIL_PARAMETERS.get(keyword)
            if setter is None or (keyword in {"RET", "ENVID"} and not dsn):
                raise CommandError(reply.PARAMETER_UNKNOWN)
            setter(sender, value)
    if not (sender.smtputf8 or argument.isascii()):
        raise CommandError(reply.NEEDS_SMTPUTF8)
    return sender


def read_recipient(argument: str, *, dsn: bool, smtputf8: bool) -> Recipient:
    """Read `TO:<path> parameters`; NOTIFY and ORCPT only with `dsn`."""
    mailbox, rest = _path(argument, "TO:", reply.BAD_RECIPIENT)
    if not (smtputf8 or argument.isascii()):
        raise CommandError(reply.NEEDS_SMTPUTF8)
    if mailbox.lower() == "postmaster":
        raise CommandError(reply.POSTMASTER_WHERE)
    address = _address(mailbox, reply.BAD_RECIPIENT)
    notify = orcpt = None
    for keyword, value in _parameters(rest) if rest else ():
        if keyword not in {"NOTIFY", "ORCPT"} or not dsn:
            raise CommandError(reply.PARAMETER_UNKNOWN)
        if keyword == "NOTIFY":
            notify = _notify(value)
        else:
            orcpt = _orcpt(value, smtputf8=smtputf8)
    return Recipient(address, notify, orcpt)


def _path(argument: str, label: str, bad: Reply) -> tuple[str, str]:
    """The mailbox between the angle brackets without a source route (RFC 5321 §3.6.1), and the parameters."""
    if argument[: len(label)].upper() != label:
        raise CommandError(reply.BAD_ARGUMENT)
    found = _PATH.fullmatch(argument, len(label))
    if found is None:
        raise CommandError(bad)
    mailbox: str = found[1]
    if mailbox.startswith("@"):
        route = _SOURCE_ROUTE.match(mailbox)
        if route is None:
            raise CommandError(bad)
        mailbox = mailbox[route.end() :]
    return mailbox, found[2] or ""


def _address(mailbox: str, bad: Reply) -> Address:
    try:
        return Address.parse(mailbox)
    except AddressError:
        raise CommandError(bad) from None


def _parameters(text: str) -> Iterator[tuple[str, str | None]]:
    seen = set()
    for word in text.split(" "):
        if not word:
            continue
        found = _PARAMETER.fullmatch(word)
        if found is None or (keyword := found[1].upper()) in seen:
            raise CommandError(reply.BAD_ARGUMENT)
        seen.add(keyword)
        yield keyword, found[2]


def _set_size(sender: Sender, value: str | None) -> None:
    if value is None or not (value.isascii() and value.isdigit()) or len(value) > MAX_SIZE_DIGITS:
        raise CommandError(reply.BAD_ARGUMENT)
    sender.size = int(value)


def _set_body(sender: Sender, value: str | None) -> None:
    kind = (value or "").upper()
    if kind not in {"7BIT", "8BITMIME"}:
        raise CommandError(reply.BAD_ARGUMENT)
    sender.eight_bit = kind == "8BITMIME"


def _set_smtputf8(sender: Sender, value: str | None) -> None:
    if value is not None:
        raise CommandError(reply.BAD_ARGUMENT)
    sender.smtputf8 = True


def _set_ret(sender: Sender, value: str | None) -> None:
    kind = (value or "").upper()
    if kind not in {"FULL", "HDRS"}:
        raise CommandError(reply.BAD_ARGUMENT)
    sender.ret = kind


def _set_envid(sender: Sender, value: str | None) -> None:
    if not value or len(value) > MAX_ENVID_CHARACTERS or not is_xtext(value):
        raise CommandError(reply.BAD_ARGUMENT)
    sender.envid = value


_MAIL_PARAMETERS: Mapping[str, Callable[[Sender, str | None], None]] = {
    "SIZE": _set_size,
    "BODY": _set_body,
    "SMTPUTF8": _set_smtputf8,
    "RET": _set_ret,
    "ENVID": _set_envid,
}


def _notify(value: str | None) -> str:
    words = (value or "").upper().split(",")
    if words != ["NEVER"] and not (_NOTIFY.issuperset(words) and len(set(words)) == len(words)):
        raise CommandError(reply.BAD_ARGUMENT)
    return ",".join(words)


def _orcpt(value: str | None, *, smtputf8: bool) -> str:
    if value is None or len(value) > MAX_ORCPT_CHARACTERS:
        raise CommandError(reply.BAD_ARGUMENT)
    found = _ORCPT.fullmatch(value)
    if found is None or not is_xtext(found[1], unicode=smtputf8):
        raise CommandError(reply.BAD_ARGUMENT)
    return value


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What XFORWARD commands have said of the real client; None: not said, or not available."""

    client: Client = field(default_factory=Client)
    queue_id: str | None = None


def read_xforward(argument: str, before: Forwarded) -> Forwarded:
    """Read `NAME=value …` and add it to what was said before."""
    if not argument:
        raise CommandError(reply.BAD_ARGUMENT)
    said: dict[str, str | None] = {}
    for keyword, value in _parameters(argument):
        if keyword not in _XFORWARD_NAMES or value is None or not is_xtext(value, unicode=True):
            raise CommandError(reply.BAD_ARGUMENT)
        plain = decode_xtext(value)
        said[keyword] = None if plain.upper() in _UNAVAILABLE else plain
    client = Client(
        address=_client_address(said["ADDR"]) if "ADDR" in said else before.client.address,
        name=_tame_or_none(said["NAME"]) if "NAME" in said else before.client.name,
        helo=_tame_or_none(said["HELO"]) if "HELO" in said else before.client.helo,
    )
    return Forwarded(client, _tame_or_none(said["IDENT"]) if "IDENT" in said else before.queue_id)


def _client_address(text: str | None) -> str:
    if text is None:
        return Client().address
    bare = text[5:] if text[:5].upper() == "IPV6:" else text
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        raise CommandError(reply.BAD_ARGUMENT) from None


def _tame_or_none(text: str | None) -> str | None:
    return None if text is None else tame(text)


def tame(text: str) -> str:
    """A name that a client gave, made safe for headers and logs: only letters, digits and _ . : [ ] -."""
    return _UNTAME.sub("?", text[:MAX_TOKEN_CHARACTERS])
