"""Dovecot's authentication protocol 1.x, the server's side, as Postfix's smtpd speaks it (smtpd_sasl_type = dovecot).

    server  VERSION 1 2 · MECH PLAIN plaintext · MECH LOGIN plaintext · SPID · CUID · COOKIE · DONE
    client  VERSION 1 0 · CPID
    client  AUTH id mechanism service=smtp … lip= rip= [secured] [resp=base64]
    server  CONT id base64      client  CONT id base64
    server  OK id user=name     or  FAIL id [user=name] [reason=…] [temp]

A line for each, its words parted by tabs. Postfix up to 3.7 at least does not read `temp`: it would tell its client
that the password is wrong. A lost connection it takes for what it is, and says 454 4.7.0; so does every release.
"""

import itertools
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mailseal.transport.callers import BadCallError
from mailseal.transport.sasl import Credentials, Mechanism, SaslError, decode, encode, mechanism

MAX_LINE_BYTES = 20_000
"""Postfix passes 12,288 octets of a response on (smtpd_sasl_response_limit), and what it knows of its client."""
MAX_EXCHANGES = 4
"""That a connection may have begun and not finished: Postfix's smtpd has one."""
_MAJOR = "1"
_MAX_ID = 2**32
_connections = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody wants to log in. `client`: the address of the SMTP client, "" if it is not said."""

    number: int
    credentials: Credentials = field(repr=False)
    client: str = ""
    service: str = ""
    secured: bool = False


class AuthDialogue:
    """One connection of Postfix's smtpd."""

    def __init__(self) -> None:
        lines = (
            f"VERSION\t{_MAJOR}\t2",
            *(f"MECH\t{one}\tplaintext" for one in Mechanism),
            f"SPID\t{os.getpid()}",
            f"CUID\t{next(_connections)}",
            f"COOKIE\t{secrets.token_hex(16)}",
            "DONE",
        )
        self.greeting = "".join(f"{line}\n" for line in lines).encode()
        self._octets = bytearray()
        self._introduced = 0
        self._exchanges: dict[int, _Exchange] = {}

    @property
    def unfinished(self) -> bool:
        """As of Dialogue."""
        return bool(self._octets)

    def feed(self, octets: bytes) -> None:
        """As of Dialogue."""
        self._octets += octets

    def turn(self) -> Attempt | bytes | None:
        """The next attempt to log in, or what is to be said before there is one; raises BadCallError."""
        end = self._octets.find(b"\n", 0, MAX_LINE_BYTES)
        if end < 0:
            if len(self._octets) >= MAX_LINE_BYTES:
                raise BadCallError(f"a line has more than {MAX_LINE_BYTES} octets")
            return None
        line = bytes(self._octets[:end])
        del self._octets[: end + 1]
        try:
            words = line.decode().split("\t")
        except UnicodeDecodeError:
            raise BadCallError("a line is not UTF-8") from None
        return self._obey(words[0], words[1:])

    def _obey(self, verb: str, words: Sequence[str]) -> Attempt | bytes:
        match verb:
            case "VERSION":
                if not words or words[0] != _MAJOR:
                    raise BadCallError("the client speaks another version of the protocol")
                self._introduced |= 1
                return b""
            case "CPID":
                self._introduced |= 2
                return b""
            case "AUTH" | "CONT" if self._introduced == 3:
                number = _number(words)
                return self._begin(number, words) if verb == "AUTH" else self._go_on(number, words)
            case "CANCEL" if self._introduced == 3:
                self._exchanges.pop(_number(words), None)
                return b""
            case _:
                raise BadCallError("a line has a verb that is not expected there")

    def _begin(self, number: int, words: Sequence[str]) -> Attempt | bytes:
        if len(words) < 2 or number in self._exchanges or len(self._exchanges) >= MAX_EXCHANGES:
            raise BadCallError("an exchange begins that cannot begin")
        kind = mechanism(words[1])
        if kind is None:
            return failed(number, reason="unknown mechanism")
        said = _parameters(words[2:])
        exchange = self._exchanges[number] = _Exchange(kind, said)
        response = said.get("resp")
        return self._advance(number, exchange, "" if response == "=" else response)  # RFC 4954 §4: "=" is empty

    def _go_on(self, number: int, words: Sequence[str]) -> Attempt | bytes:
        exchange = self._exchanges.get(number)
        if exchange is None or len(words) != 2:
            raise BadCallError("an exchange goes on that has not begun")
        return self._advance(number, exchange, words[1])

    def _advance(self, number: int, exchange: "_Exchange", response: str | None) -> Attempt | bytes:
        """With a response, or without one to begin with."""
        try:
            if response is not None:
                exchange.responses.append(decode(response))
            found = exchange.kind.next(exchange.responses)
        except SaslError as error:
            del self._exchanges[number]
            return failed(number, reason=str(error))
        if isinstance(found, bytes):
            return f"CONT\t{number}\t{encode(found)}\n".encode()
        del self._exchanges[number]
        said = exchange.said
        return Attempt(number, found, said.get("rip", ""), said.get("service", ""), "secured" in said)


@dataclass(slots=True)
class _Exchange:
    kind: Mechanism
    said: Mapping[str, str] = field(repr=False)
    responses: list[bytes] = field(default_factory=list, repr=False)


def _number(words: Sequence[str]) -> int:
    text = words[0] if words else ""
    if not (text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) < _MAX_ID):
        raise BadCallError("a line has no number of its exchange")
    return int(text)


def _parameters(words: Sequence[str]) -> dict[str, str]:
    """By name; one without a value has none. The first of a name counts: what comes behind may be a user's."""
    found: dict[str, str] = {}
    for word in words:
        name, _, value = word.partition("=")
        found.setdefault(name, value)
    return found


# ---- what is answered

_GONE: Final = str.maketrans(dict.fromkeys("\t\r\n\0\x01", "?"))


def accepted(number: int, user: str) -> bytes:
    """He is who he says; from now on he is called `user`."""
    return f"OK\t{number}\tuser={_word(user)}\n".encode()


def failed(number: int, *, user: str = "", reason: str = "") -> bytes:
    """He is not let in. `user` stands in Postfix's log; `reason` is told to the client."""
    words = [f"user={_word(user)}"] if user else []
    words += [f"reason={_word(reason)}"] if reason else []
    return "\t".join(("FAIL", str(number), *words)).encode("utf-8", "replace") + b"\n"


def _word(text: str) -> str:
    return text.translate(_GONE)
