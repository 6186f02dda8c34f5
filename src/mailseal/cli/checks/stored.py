"""Checks of the store: database, sealed keys, internal domains, expiring certificates."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from mailseal import store
from mailseal.cli.checks.finding import Finding, Status
from mailseal.config import Config
from mailseal.errors import MailsealError
from mailseal.keys.sealing import Kek
from mailseal.store import certificate_admin, private_keys, revalidate, transaction
from mailseal.store import domains as store_domains

EXPIRING = timedelta(days=30)
MAX_NAMED = 10


def database(config: Config) -> Iterator[Finding]:
    """Whether the database answers and its tables fit this release."""
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


def keks(config: Config) -> Iterator[Finding]:
    """Whether each KEK can be read."""
    for path in config.keys.kek:
        try:
            yield Finding("KEK", Status.OK, f"{path} (KEK {Kek.load(path).id})")
        except MailsealError as error:
            yield Finding("KEK", Status.FAIL, str(error), "put the file back; `mailseal init` makes a first one")


def keys(config: Config) -> Iterator[Finding]:
    """Whether one private key of each KEK that sealed any can be opened."""
    ring = {kek.id: kek for kek in map(Kek.load, config.keys.kek)}
    stored = private_keys.list_keys()
    newest = {info.kek_id: info for info in stored}
    broken = False
    for kek_id, info in newest.items():
        try:
            if kek_id not in ring:
                text = f"private keys are sealed with KEK {kek_id}, which is not at hand"
                yield Finding("keys", Status.FAIL, text, "name its file in keys.kek; mail that needs them waits")
                broken = True
            else:
                private_keys.open_key(info.spki_sha256, ring[kek_id])
        except MailsealError as error:
            text = f"private key {info.spki_sha256[:16]}…: {error}"
            yield Finding("keys", Status.FAIL, text, "restore the database, or import the key again")
            broken = True
    if not broken:
        yield Finding(
            "keys", Status.OK, f"{len(stored)} private keys stored" + (", the newest opens" if stored else "")
        )


def domains(_config: Config) -> Iterator[Finding]:
    """Whether any domain is ours."""
    names = [domain.name for domain in store_domains.list_domains() if domain.internal]
    if not names:
        text = "there is no internal domain: incoming mail is not decrypted, and nobody's mail is signed"
        yield Finding("domains", Status.WARN, text, "mailseal domain add example.com")
        return
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    yield Finding("domains", Status.OK, f"internal: {', '.join(names[:MAX_NAMED])}{more}")


def certificates(_config: Config) -> Iterator[Finding]:
    """Certificates with a private key that expire soon."""
    now = datetime.now(UTC)
    ending = certificate_admin.list_certificates(has_key=True, expires_before=now + EXPIRING, limit=1000)
    expiring = [one.certificate for one in ending if one.certificate.not_after >= now]
    for one in expiring[:MAX_NAMED]:
        text = f"{one.subject} ({one.fingerprint[:16]}…) expires on {one.not_after:%Y-%m-%d}"
        yield Finding("certificates", Status.WARN, text, "get a new one and `mailseal cert import` it")
    if len(expiring) > MAX_NAMED:
        yield Finding("certificates", Status.WARN, f"{len(expiring) - MAX_NAMED} more expire within 30 days")
    if not expiring:
        yield Finding("certificates", Status.OK, "none with a private key expires within 30 days")
    yield from _harvested()


def _harvested() -> Iterator[Finding]:
    """What came with signed mail and waits: for an administrator, for the worker."""
    conflicts = certificate_admin.count_conflicts()
    if conflicts:
        text = f"with another key for a known address, out of signed mail: {conflicts}"
        yield Finding(
            "certificates", Status.WARN, text, "`mailseal cert list --conflicts`, then `mailseal cert accept`"
        )
    due = revalidate.due_count()
    if due:
        yield Finding("certificates", Status.OK, f"waiting for the worker to judge them: {due}")
