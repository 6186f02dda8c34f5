"""The two keys between web and worker: "intake" seals what the web asks, "web" what the worker answers (HPKE).

The intake key's private part is a row sealed with the KEK, so every worker of the cluster opens; the web key is a file
that the web role alone reads. Public parts are in clear: whoever can write to the database can ask.
"""

from dataclasses import dataclass

from django.db import IntegrityError
from django.db.transaction import atomic

from mailseal.errors import TransientError
from mailseal.keys.hpke import PrivateKey, PublicKey
from mailseal.keys.sealing import sealed_by
from mailseal.store.audit import record
from mailseal.store.console_models import ConsoleKeyRow
from mailseal.store.private_keys import Sealing
from mailseal.store.transaction import read, reads, writes

INTAKE, WEB = "intake", "web"


class ConsoleKeyMissingError(TransientError):
    """One of the two keys is not there yet: the worker, or the web role, has never run."""


def identity(name: str) -> bytes:
    """What the sealed private part is bound to."""
    return b"store_console_key:sealed:" + name.encode()


@reads
def public(name: str) -> PublicKey | None:
    """The key to seal for; None before its holder has made it."""
    found = ConsoleKeyRow.objects.filter(name=name).values_list("public", flat=True).first()
    return None if found is None else PublicKey(bytes(found))


def require(name: str) -> PublicKey:
    """The same; raises ConsoleKeyMissingError."""
    found = public(name)
    if found is None:
        who = "the job worker" if name == INTAKE else "the web role"
        raise ConsoleKeyMissingError(f"{who} has never run on this database")
    return found


def open_intake(sealing: Sealing) -> PrivateKey:
    """The worker's key, made if there is none; raises SealError, StoreUnavailable."""
    row = read(lambda: ConsoleKeyRow.objects.filter(name=INTAKE).first())
    if row is None or row.sealed is None:
        _make_intake(sealing)
        row = read(lambda: ConsoleKeyRow.objects.get(name=INTAKE))
    return PrivateKey(sealing.open(bytes(row.sealed or b""), identity=identity(INTAKE)))


def _make_intake(sealing: Sealing) -> None:
    """Of two workers that do so at once one wins, and both use its key."""
    key = PrivateKey.generate()
    sealed = sealing.seal(key.octets, identity=identity(INTAKE))
    row = ConsoleKeyRow(name=INTAKE, public=key.public.octets, kek_id=sealed_by(sealed), sealed=sealed)
    _insert(row, note="make-intake-key")


@writes
def _insert(row: ConsoleKeyRow, *, note: str) -> None:
    """Unless there is one by this name: another node has been quicker."""
    try:
        with atomic():
            row.save(force_insert=True)
    except IntegrityError:
        return
    record("keys", note, bytes(row.public).hex())


def register_web(key: PublicKey) -> bool:
    """Say which key the web role has, once for all nodes; False: the cluster has another one."""
    if public(WEB) is None:
        _insert(ConsoleKeyRow(name=WEB, public=key.octets), note="register-web-key")
    return public(WEB) == key


@writes
def forget_web() -> bool:
    """The web key is lost or in wrong hands: the next one that is registered counts. False: there was none.

    What it sealed (second factors) is lost with it.
    """
    forgotten = bool(ConsoleKeyRow.objects.filter(name=WEB).delete()[0])
    if forgotten:
        record("keys", "forget-web-key", WEB)
    return forgotten


@dataclass(slots=True)
class _Held:
    key: PrivateKey | None = None


_HELD = _Held()


def hold_web(key: PrivateKey | None) -> None:
    """Open results with this key in this process from now on: it is the web role's."""
    _HELD.key = key


def held_web() -> PrivateKey:
    """That key; raises ConsoleKeyMissingError in a process that is no web role."""
    if _HELD.key is None:
        raise ConsoleKeyMissingError("this process has no web key")
    return _HELD.key
