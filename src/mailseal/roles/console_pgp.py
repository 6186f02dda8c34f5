"""What the console has the worker do with OpenPGP keys: keyrings are read here, and secret keys sign here."""

from collections.abc import Collection
from io import BytesIO

from mailseal.errors import PermanentError
from mailseal.openpgp.component import RevocationCode
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.generate import KeyKind
from mailseal.openpgp.ring import RingMember, open_ring
from mailseal.openpgp.user_id import address_of
from mailseal.roles.console_arguments import ArgumentError, Arguments, flag, limited_to, moment, one_of, text, texts
from mailseal.roles.console_certificates import MAX_PROBLEMS, MAX_SHOWN, all_within
from mailseal.store import pgp_admin, pgp_edit, pgp_generate
from mailseal.store.acting import Acting
from mailseal.store.console_jobs import Json
from mailseal.store.pgp_import import CHUNK_ROWS, PgpImport, read_member
from mailseal.store.pgp_keep import Arrival
from mailseal.store.row import utc_now
from mailseal.wiring.gateway import Node

REVOCATION_REASONS = {
    "unspecified": RevocationCode.UNSPECIFIED,
    "superseded": RevocationCode.SUPERSEDED,
    "compromised": RevocationCode.COMPROMISED,
    "retired": RevocationCode.RETIRED,
}
_PENDING_OCTETS = 4 * 1024 * 1024


def import_keys(node: Node, arguments: Arguments, blob: bytes, _who: Acting) -> Json:
    """`pgp-import` {password, trust, domains}: a keyring, armored or binary, with secret keys too.

    Of keys that name somebody who is in none of `domains` none is taken. Raises RingError, ArgumentError.
    """
    run = _Run(node, text(arguments, "password", ""), limited_to(arguments), vouched=flag(arguments, "trust"))
    ring = open_ring(BytesIO(blob))
    for member in ring.members:
        run.take(member)
    return run.result(ring.form.value)


class _Run:
    """One keyring, stored a transaction at a time; what came of it."""

    def __init__(self, node: Node, password: str, domains: Collection[str] | None, *, vouched: bool) -> None:
        self._importing = PgpImport(lambda: node.kek)
        self._password = password
        self._domains = domains
        self._vouched = vouched
        self._pending: list[tuple[int, Arrival]] = []
        self._octets = 0
        self._problems: list[str] = []
        self._counts = {"imported": 0, "known": 0, "updated": 0, "keys": 0, "waiting": 0}
        self._fingerprints: dict[str, None] = {}

    def take(self, member: RingMember) -> None:
        if not member.is_certificate:
            self._store()  # what it revokes may have come right before
        try:
            read = read_member(member, lambda: self._password, vouched=self._vouched)
        except PgpError as error:
            self._problem(member.number, str(error))
            return
        for note in read.notes:
            self._problem(member.number, note)
        named = [one.address for one in read.arrival.certificate.user_ids if one.address is not None]
        if self._domains is not None and not all_within([str(one) for one in named], self._domains):
            self._problem(member.number, "it does not name people of your domains alone")
            return
        self._pending.append((member.number, read.arrival))
        self._octets += len(read.arrival.octets)
        if len(self._pending) >= CHUNK_ROWS or self._octets >= _PENDING_OCTETS:
            self._store()

    def _store(self) -> None:
        if not self._pending:
            return
        kept = self._importing.add([arrival for _, arrival in self._pending])
        for (number, arrival), one in zip(self._pending, kept, strict=True):
            self._counts["imported"] += one.new
            self._counts["known"] += not one.new
            self._counts["updated"] += one.changed
            self._counts["keys"] += len(arrival.keys)
            self._counts["waiting"] += one.new and not one.counts
            for note in one.notes:
                self._problem(number, note)
            if len(self._fingerprints) < MAX_SHOWN:
                self._fingerprints[one.fingerprint] = None
        self._pending.clear()
        self._octets = 0

    def _problem(self, number: int, line: str) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(f"member {number}: {line}")

    def result(self, form: str) -> Json:
        self._store()
        self._importing.finish()
        return {"form": form, **self._counts, "problems": self._problems, "fingerprints": list(self._fingerprints)}


def generate(node: Node, arguments: Arguments, _blob: bytes, _who: Acting) -> Json:
    """`pgp-generate` {user_ids, kind, expires, use, domains}: a new key, trusted, chosen for `use` if it is given.

    Raises PgpError, AddressError, SealError, ArgumentError.
    """
    user_ids, domains = texts(arguments, "user_ids"), limited_to(arguments)
    if domains is not None:
        _require_within(user_ids, domains)
    now, expires = utc_now(), moment(arguments, "expires")
    after = None if expires is None else expires - now
    kind = one_of(KeyKind, arguments, "kind", KeyKind.ED25519)
    made = pgp_generate.generate_key(user_ids, node.kek, now, kind=kind, expires_after=after)
    owner = text(arguments, "use", "")
    if owner:
        pgp_admin.use(made, owner)
    return {"fingerprint": made}


def _require_within(user_ids: Collection[str], domains: Collection[str]) -> None:
    named = [address_of(one.encode()) for one in user_ids]
    if not named or not all(one is not None and one.domain in domains for one in named):
        raise PermanentError("each user ID has to name an address of your domains")


def revoke(node: Node, arguments: Arguments, _blob: bytes, _who: Acting) -> Json:
    """`pgp-revoke` {key, reason, text}, or {key, user_id, text} for a user ID alone; raises as `pgp_edit` does."""
    name, why, user_id = text(arguments, "key"), text(arguments, "text", ""), text(arguments, "user_id", "")
    if user_id:
        return _named(pgp_edit.revoke_user_id(name, user_id, node.kek, why))
    reason = text(arguments, "reason")
    if reason not in REVOCATION_REASONS:
        raise ArgumentError(f"reason is one of {', '.join(REVOCATION_REASONS)}")
    return _named(pgp_edit.revoke(name, node.kek, REVOCATION_REASONS[reason], why))


def set_expiry(node: Node, arguments: Arguments, _blob: bytes, _who: Acting) -> Json:
    """`pgp-expire` {key, expires}: null is never. Raises as `pgp_edit` does."""
    expires = moment(arguments, "expires")
    return _named(pgp_edit.set_expiry(text(arguments, "key"), expires, node.kek))


def add_user_id(node: Node, arguments: Arguments, _blob: bytes, _who: Acting) -> Json:
    """`pgp-add-user-id` {key, user_id, domains}; raises as `pgp_edit` does."""
    user_id, domains = text(arguments, "user_id"), limited_to(arguments)
    if domains is not None:
        _require_within([user_id], domains)
    return _named(pgp_edit.add_user_id(text(arguments, "key"), user_id, node.kek))


def certify(node: Node, arguments: Arguments, _blob: bytes, _who: Acting) -> Json:
    """`pgp-certify` {key, by, user_ids, expires}: by the key of the domain. Raises as `pgp_edit` does."""
    done = pgp_edit.certify(
        text(arguments, "key"),
        node.kek,
        by=text(arguments, "by", ""),
        user_ids=texts(arguments, "user_ids"),
        expires=moment(arguments, "expires"),
    )
    return _named(done)


def _named(info: pgp_admin.PgpInfo) -> Json:
    return {"fingerprint": info.fingerprint}
