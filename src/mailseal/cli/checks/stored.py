"""Checks of the store: database, sealed keys, internal domains, expiring certificates and OpenPGP keys."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from mailseal import store
from mailseal.cli.checks.finding import Finding, Status
from mailseal.config import Config
from mailseal.errors import MailsealError
from mailseal.keys.kek_places import read_keks
from mailseal.keys.kek_ring import KekRing
from mailseal.openpgp.certificate import PgpTrust
from mailseal.store import certificate_admin, load, nodes, pgp_admin, revalidate, rewrap, transaction
from mailseal.store import domains as store_domains
from mailseal.store import keks as store_keks

EXPIRING = timedelta(days=30)
MAX_NAMED = 10


def database(config: Config) -> Iterator[Finding]:
    """Whether the database answers and its tables fit this release."""
    store.setup(config)
    try:
        pending = transaction.read(store.pending_migrations)
        half_full = load.is_unfinished()
    except MailsealError as error:
        yield Finding("database", Status.FAIL, f"{config.database.url}: {error}", "start it, or set database.url")
        return
    if half_full:
        text = f"{config.database.url}: it holds a restore or copy that was not finished; no mail is taken"
        yield Finding("database", Status.FAIL, text, "empty it and do that again, or set database.url")
        return
    if pending:
        text = f"{config.database.url}: its tables are not of this release ({len(pending)} migrations to do)"
        yield Finding("database", Status.FAIL, text, "run `mailseal init`")
        return
    yield Finding("database", Status.OK, config.database.url)


def keks(config: Config) -> Iterator[Finding]:
    """Whether each KEK can be read."""
    found = read_keks(config.keys.kek)
    for file in found.files:
        yield Finding("KEK", Status.OK, f"{file.place} (KEK {file.kek.id})")
    for problem in found.problems:
        yield Finding("KEK", Status.FAIL, str(problem), problem.what_to_do)
    if not found.files and not found.problems:
        text = "there is no KEK in any place that keys.kek names"
        yield Finding("KEK", Status.FAIL, text, "put the file back; `mailseal init` makes a first one")


def keys(config: Config) -> Iterator[Finding]:
    """Whether the KEK that seals is there, on each node, and whether everything that is sealed opens."""
    ring = store_keks.open_ring(config.keys.kek)
    counts = rewrap.count_by_kek()
    yield from _active(ring, counts)
    broken = rewrap.find_broken(ring)
    for kek_id in sorted(counts.keys() - {file.kek.id for file in ring.found.files} - {""}):
        text = f"{counts[kek_id]} values are sealed with KEK {kek_id}, which is not at hand"
        yield Finding("keys", Status.FAIL, text, "put its file back; mail that needs them waits")
    for row, error in broken.named:
        yield Finding("keys", Status.FAIL, f"{row}: {error}; mail that needs it waits", row.column.mend)
    if broken.count > len(broken.named):
        yield Finding("keys", Status.FAIL, f"{broken.count - len(broken.named)} more values do not open")
    if not broken.count:
        yield Finding("keys", Status.OK, f"{sum(counts.values())} values are sealed, and all of them open")


def _active(ring: KekRing, counts: Mapping[str, int]) -> Iterator[Finding]:
    active = store_keks.active()
    if active is None:
        yield Finding("keys", Status.FAIL, "no KEK is registered as the one that seals", "run `mailseal init`")
        return
    if not ring.found.of(active):
        text = f"KEK {active} seals, and is not at hand: reports cannot be kept, keys cannot be imported"
        yield Finding("keys", Status.FAIL, text, "copy its file from another node or a backup")
    lacking = [node.name for node in nodes.list_nodes() if node.alive() and active not in node.keks]
    if lacking:
        text = f"KEK {active} seals, and {', '.join(lacking)} cannot open what it seals"
        yield Finding("keys", Status.FAIL, text, "copy its file there; mail that needs it waits")
    others = sum(found for kek_id, found in counts.items() if kek_id not in {active, ""})
    if others:
        text = f"{others} values are still sealed with a KEK before KEK {active}"
        yield Finding("keys", Status.WARN, text, "`mailseal key rotate` goes on where it was stopped")


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


def pgp(_config: Config) -> Iterator[Finding]:
    """OpenPGP keys of ours that expire soon, and those of others that wait to be trusted."""
    now = datetime.now(UTC)
    ending = pgp_admin.list_keys(
        trust=PgpTrust.TRUSTED, has_key=True, revoked=False, expires_before=now + EXPIRING, limit=1000
    )
    expiring = [one for one in ending if one.expires is not None and one.expires >= now]
    for one in expiring[:MAX_NAMED]:
        named = ", ".join(user_id.text for user_id in one.certificate.user_ids[:1])
        text = f"{named} ({one.fingerprint[:16]}…) expires on {one.expires:%Y-%m-%d}"
        yield Finding("OpenPGP", Status.WARN, text, f"`mailseal pgp expire {one.fingerprint[:16]} 3y`, and give it out")
    if len(expiring) > MAX_NAMED:
        yield Finding("OpenPGP", Status.WARN, f"{len(expiring) - MAX_NAMED} more expire within 30 days")
    if not expiring:
        yield Finding("OpenPGP", Status.OK, "no key with a secret key expires within 30 days")
    conflicts = pgp_admin.count(PgpTrust.CANDIDATE, conflict=True)
    if conflicts:
        text = f"keys that came for an address with another, trusted one: {conflicts}"
        yield Finding(
            "OpenPGP", Status.WARN, text, "`mailseal pgp list --conflicts`, then `mailseal pgp trust|distrust`"
        )
    waiting = pgp_admin.count(PgpTrust.CANDIDATE)
    if waiting:
        text = f"candidates, not used before `mailseal pgp trust`: {waiting} (`mailseal pgp list --candidates`)"
        yield Finding("OpenPGP", Status.OK, text)
