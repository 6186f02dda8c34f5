"""What the console asks about next hops: passwords, which only a holder of the KEK can seal."""

from mailseal.config.next_hop import credential_name
from mailseal.config.values import BadValueError
from mailseal.roles.console_arguments import ArgumentError, Arguments, text
from mailseal.store import credentials
from mailseal.store.acting import Acting
from mailseal.store.console_jobs import Json
from mailseal.wiring.gateway import Node


def keep_password(node: Node, arguments: Arguments, _blob: bytes, _who: Acting) -> Json:
    """`route-password` {name, password}: seal and store it for `user@host:port`. Raises ArgumentError."""
    try:
        name = credential_name(text(arguments, "name"))
    except BadValueError as error:
        raise ArgumentError(f"the name {error}") from None
    octets = text(arguments, "password").encode()
    if not 0 < len(octets) <= credentials.MAX_PASSWORD_BYTES or b"\0" in octets:
        raise ArgumentError(
            f"a password has between 1 and {credentials.MAX_PASSWORD_BYTES} octets, none of them NUL (RFC 4616)"
        )
    credentials.keep(name, octets, node.kek)
    return None
