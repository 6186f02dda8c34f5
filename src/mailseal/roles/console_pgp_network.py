"""What the console has the worker ask of, and tell, the network about OpenPGP keys: WKD and key servers."""

from datetime import UTC, datetime

from mailseal.config import Config
from mailseal.config.sections.discover import read_key_server
from mailseal.config.values import BadValueError
from mailseal.discover.key_servers import key_server
from mailseal.discover.search import search
from mailseal.errors import PermanentError
from mailseal.mail.address import Address
from mailseal.openpgp.armor import PUBLIC_KEY, write_armor
from mailseal.openpgp.edit import minimal
from mailseal.roles.console_arguments import Arguments, text
from mailseal.roles.key_search import fetcher, keep, sources
from mailseal.store import lookups, pgp_admin
from mailseal.store.acting import Acting
from mailseal.store.console_jobs import Json
from mailseal.store.directory import StoreDirectory
from mailseal.store.pgp_publish import internal_addresses, user_ids_of
from mailseal.wiring.gateway import Node


def look_up(node: Node, arguments: Arguments, _blob: bytes, _who: Acting) -> Json:
    """`pgp-lookup` {address}: what is found becomes a candidate. Raises AddressError, PermanentError."""
    address = Address.parse(text(arguments, "address"))
    places = sources(node.config.discover)
    if not places:
        raise PermanentError("there is nowhere to look: set discover.wkd or discover.key_servers")
    searched = search(address, places)
    keep(address, searched)
    if searched.found or not searched.problems:
        lookups.finish(address, len(searched.found), datetime.now(UTC))
    names = [one.certificate.fingerprint for one in searched.found]
    kept = {info.fingerprint for info in pgp_admin.infos(names)}
    return {
        "source": searched.source,
        "problems": list(searched.problems),
        "fingerprints": [name for name in names if name in kept],
    }


def publish(node: Node, arguments: Arguments, _blob: bytes, _who: Acting) -> Json:
    """`pgp-publish` {key, server}: for the whole world to see. Only to servers of the configuration: what the console
    asks shall not make this machine fetch from anywhere.
    """
    info = pgp_admin.show(text(arguments, "key"))
    if not info.keys:
        raise PermanentError("its secret key is not here: who owns a key publishes it")
    now = datetime.now(UTC)
    addresses = internal_addresses(info.certificate, StoreDirectory(), now)
    if not addresses:
        raise PermanentError("it names no internal address")
    octets = minimal(info.certificate, now, user_ids_of(info.certificate, addresses, now), with_revoked=True)
    armored = b"".join(bytes(piece) for piece in write_armor(PUBLIC_KEY, [octets])).decode()
    server = _server(node.config, text(arguments, "server", ""))
    said = key_server(fetcher(node.config.discover), server).publish(armored, addresses)
    return {"server": server, "said": said, "addresses": [str(one) for one in addresses]}


def _server(config: Config, wanted: str) -> str:
    known = config.discover.key_servers
    if not known:
        raise PermanentError("there is no key server: set discover.key_servers")
    try:
        url = read_key_server(wanted) if wanted else known[0]
    except BadValueError as error:
        raise PermanentError(f"the key server {error}") from None
    if url not in known:
        raise PermanentError("that is no server of discover.key_servers")
    return url
