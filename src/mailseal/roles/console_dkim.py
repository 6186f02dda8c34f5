"""What the console has the worker do with DKIM keys: made and sealed, read out of files, compared with the DNS."""

from mailseal.discover.dns import Dns
from mailseal.dkim.key_file import read_key_file
from mailseal.errors import PermanentError
from mailseal.roles.console_arguments import Arguments, flag, one_of, text
from mailseal.roles.dkim_lookup import Published, ask
from mailseal.store import dkim_keys
from mailseal.store.acting import Acting
from mailseal.store.console_jobs import Json
from mailseal.store.dkim_keys import DkimKeyInfo, DkimKind
from mailseal.wiring.gateway import Node


def generate(node: Node, arguments: Arguments, _blob: bytes, _who: Acting) -> Json:
    """`dkim-generate` {domain, selector, kind}: a key that signs nothing yet. Raises as `dkim_keys.generate` does."""
    kind = one_of(DkimKind, arguments, "kind", DkimKind.RSA)
    selector = text(arguments, "selector", "") or None
    return _named(dkim_keys.generate(text(arguments, "domain"), selector, kind, node.kek))


def import_key(node: Node, arguments: Arguments, blob: bytes, _who: Acting) -> Json:
    """`dkim-import` {domain, selector, password}: a key of another signer. Raises KeyFileError, as `dkim_keys.add`."""
    password = text(arguments, "password", "").encode()
    key = read_key_file(blob, lambda: password)
    return _named(dkim_keys.add(text(arguments, "domain"), text(arguments, "selector"), key, node.kek))


def check(node: Node, arguments: Arguments, _blob: bytes, _who: Acting) -> Json:
    """`dkim-check` {domain, selector}: what the DNS says of a key, which is kept. Raises DkimKeyError."""
    info = dkim_keys.find(text(arguments, "domain"), text(arguments, "selector"))
    answer = ask(info, _dns(node))
    return {"state": answer.state.value, "text": answer.text, "what_to_do": answer.what_to_do}


def enable(node: Node, arguments: Arguments, _blob: bytes, _who: Acting) -> Json:
    """`dkim-enable` {domain, selector, unchecked}: sign from now on, if the DNS has the record; else PermanentError."""
    info = dkim_keys.find(text(arguments, "domain"), text(arguments, "selector"))
    if not flag(arguments, "unchecked"):
        answer = ask(info, _dns(node))
        if answer.state is not Published.YES:
            raise PermanentError(f"{answer.text}: a signature that nobody can verify does harm")
    return _named(dkim_keys.set_active(info.domain, info.selector, active=True))


def _dns(node: Node) -> Dns:
    return Dns(node.config.dns.servers, node.config.dns.timeout_seconds)


def _named(info: DkimKeyInfo) -> Json:
    return {"domain": info.domain, "selector": info.selector}
