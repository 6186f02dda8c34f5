"""Logging in at a next hop: AUTH PLAIN and LOGIN (RFC 4954, RFC 4616)."""

from base64 import b64encode

from mailseal.errors import TransientError
from mailseal.transport.connection import Connection

MAX_COMMAND_BYTES = 512
"""An initial response must fit into a command line (RFC 4954 §4, RFC 5321 §4.5.3.1.4)."""


class AuthenticationError(TransientError):
    """The next hop does not let us in. Its words are not repeated: some quote what they were given."""


def authenticate(connection: Connection, user: str, password: bytes, deadline: float) -> None:
    """Log in, by PLAIN if it is offered, else LOGIN; raises AuthenticationError, LostError or GarbageError.

    The caller knows that nobody else hears it, and who the server is.
    """
    offered = connection.features.get("AUTH", "").split()
    name = user.encode()
    if "PLAIN" in offered:
        _say(connection, b"PLAIN", [b"\0" + name + b"\0" + password], deadline)
    elif "LOGIN" in offered:
        _say(connection, b"LOGIN", [name, password], deadline)
    else:
        raise AuthenticationError("the next hop offers neither AUTH PLAIN nor AUTH LOGIN")


def _say(connection: Connection, mechanism: bytes, responses: list[bytes], deadline: float) -> None:
    """The responses in turn, each to a 334; the only one goes along with the command if it fits."""
    encoded = [b64encode(one) + b"\r\n" for one in responses]
    line = b"AUTH " + mechanism
    if len(encoded) == 1 and len(line) + 1 + len(encoded[0]) <= MAX_COMMAND_BYTES:
        code, _ = connection.command(line + b" " + encoded.pop(), deadline)
    else:
        code, _ = connection.command(line + b"\r\n", deadline)
    for response in encoded:
        if code != 334:
            break
        code, _ = connection.command(response, deadline)
    if code != 235:
        raise AuthenticationError(f"the next hop does not accept user and password ({code})")
