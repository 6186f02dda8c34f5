"""What the console has the worker do with certificates of our own servers on this node, whose keys it seals."""

from mailseal.errors import PermanentError
from mailseal.roles.console_arguments import Arguments, one_of, text, texts
from mailseal.store import tls_identities
from mailseal.store.acting import Acting
from mailseal.store.console_jobs import Json
from mailseal.store.tls_identities import Server, TlsIdentity
from mailseal.wiring.gateway import Node

MAX_CONTACT_CHARS = 254


def self_signed(node: Node, arguments: Arguments, _blob: bytes, _who: Acting) -> Json:
    """`server-certificate-self-signed` {purpose, names}: shown from now on. Raises TlsCertificateError."""
    return _named(tls_identities.make_self_signed(_purpose(arguments), _names(node, arguments), node.kek))


def import_(node: Node, arguments: Arguments, blob: bytes, _who: Acting) -> Json:
    """`server-certificate-import` {purpose, key, password} and a chain: shown from now on.

    Raises TlsCertificateError, TlsIdentityError.
    """
    password = text(arguments, "password", "").encode() or None
    key = text(arguments, "key").encode()
    return _named(tls_identities.bring_along(_purpose(arguments), blob, key, node.kek, password=password))


def request(node: Node, arguments: Arguments, _blob: bytes, _who: Acting) -> Json:
    """`server-certificate-request` {purpose, names}: a request for a CA. Raises TlsCertificateError."""
    return _named(tls_identities.ask(_purpose(arguments), _names(node, arguments), node.kek))


def accept(node: Node, arguments: Arguments, blob: bytes, _who: Acting) -> Json:
    """`server-certificate-accept` {purpose} and a chain: what a CA made of the request. Raises as `import_`."""
    return _named(tls_identities.accept(_purpose(arguments), blob, node.kek))


def by_acme(node: Node, arguments: Arguments, _blob: bytes, _who: Acting) -> Json:
    """`server-certificate-acme` {purpose, names, directory, contact}: the job that asks the CA begins at once."""
    contact = text(arguments, "contact", "")
    if len(contact) > MAX_CONTACT_CHARS:
        raise PermanentError("the contact is an address")
    directory = text(arguments, "directory")
    names = _names(node, arguments)
    return _named(tls_identities.ask_by_acme(_purpose(arguments), names, directory, contact, node.kek))


def _purpose(arguments: Arguments) -> Server:
    return one_of(Server, arguments, "purpose")


def _names(node: Node, arguments: Arguments) -> list[str]:
    return list(texts(arguments, "names")) or [node.config.hostname]


def _named(one: TlsIdentity) -> Json:
    return {"purpose": one.purpose.value, "asked": one.asked}
