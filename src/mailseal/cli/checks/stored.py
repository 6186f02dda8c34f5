"""Checks of the store: database, sealed keys, internal domains, expiring certificates."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from mailseal.cli.checks.finding import Finding, Status
from mailseal.config import Config
from mailseal.errors import MailsealError

EXPIRING = timedelta(days=30)
MAX_NAMED = 10


def database(config: Config) -> Iterator[Finding]:
    """Whether the database answers and its tables fit this release."""
    from mailseal import store  # noqa: PLC0415 - loads Django; an error in the configuration is shown without it
    from mailseal.store import transaction  # noqa: PLC0415 - same

    store.setup(config)
    try:
        pending = transaction.read(store.pending_migrations)
    except MailsealError as error:
        yield Finding("database", Status.FAIL, f"{config.database.url}: {error}", "start it, or set database.url")
        return
    if pending:
        text = f"{config.database.url}: its tables are not of this release ({len(pending)} migrations to do)"
        yield Finding("database", Status.FAIL, text, "run `mailseal init`")
        return
    yield Finding("database", Status.OK, config.database.url)


def keys(config: Config) -> Iterator[Finding]:
    """Whether each KEK can be read, and one sealed key for each KEK that sealed any can be opened."""
    from mailseal.keys.sealing import Kek  # noqa: PLC0415 - loads cryptography
    from mailseal.store import private_keys  # noqa: PLC0415 - loads Django

    rings: dict[str, Kek] = {}
    for path in config.keys.kek:
        try:
            kek = Kek.load(path)
        except MailsealError as error:
            yield Finding("keys", Status.FAIL, str(error), "put the KEK file back; `mailseal init` makes a first one")
        else:
            rings[kek.id] = kek
            yield Finding("keys", Status.OK, f"{path} (KEK {kek.id})")
    first_of = {info.kek_id: info for info in reversed(private_keys.list_keys())}
    for kek_id, info in first_of.items():
        if kek_id not in rings:
            text = f"private keys are sealed with KEK {kek_id}, which is not at hand"
            yield Finding("keys", Status.FAIL, text, "name its file in keys.kek; mail that needs them waits")
            continue
        try:
            private_keys.open_key(info.spki_sha256, rings[kek_id])
        except MailsealError as error:
            text = f"private key {info.spki_sha256[:16]}…: {error}"
            yield Finding("keys", Status.FAIL, text, "restore the database, or import the key again")
    if first_of.keys() <= rings.keys():
        yield Finding("keys", Status.OK, f"{len(private_keys.list_keys())} private keys stored, and they open")


def domains(_config: Config) -> Iterator[Finding]:
    """Whether any domain is ours."""
    from mailseal.store import domains as stored  # noqa: PLC0415 - loads Django

    names = [domain.name for domain in stored.list_domains() if domain.internal]
    if not names:
        text = "there is no internal domain: incoming mail is not decrypted, and nobody's mail is signed"
        yield Finding("domains", Status.WARN, text, "mailseal domain add example.com")
        return
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    yield Finding("domains", Status.OK, f"internal: {', '.join(names[:MAX_NAMED])}{more}")


def certificates(_config: Config) -> Iterator[Finding]:
    """Certificates with a private key that expire soon."""
    from mailseal.store import certificate_admin as stored  # noqa: PLC0415 - loads Django

    now = datetime.now(UTC)
    expiring = [one for one in stored.list_certificates(with_key=True) if now <= one.not_after < now + EXPIRING]
    for one in expiring[:MAX_NAMED]:
        text = f"{one.subject} ({one.fingerprint[:16]}…) expires on {one.not_after:%Y-%m-%d}"
        yield Finding("certificates", Status.WARN, text, "get a new one and `mailseal cert import` it")
    if len(expiring) > MAX_NAMED:
        yield Finding("certificates", Status.WARN, f"{len(expiring) - MAX_NAMED} more expire within 30 days")
    if not expiring:
        yield Finding("certificates", Status.OK, "none with a private key expires within 30 days")
