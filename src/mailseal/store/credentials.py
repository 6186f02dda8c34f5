"""Passwords for the outside at rest: one row per `user@host:port`, sealed by the KEK and bound to that row."""

from dataclasses import dataclass
from datetime import datetime

from mailseal.keys.sealing import SealError, sealed_by
from mailseal.store.audit import record
from mailseal.store.models import CredentialRow
from mailseal.store.private_keys import Sealing
from mailseal.store.transaction import reads, select, writes

MAX_PASSWORD_BYTES = 1024


class CredentialMissingError(SealError):
    """No password is stored under the name. The text says how one is set."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no password is stored for {name}: set it with `mailseal route password {name}`")


@dataclass(frozen=True, slots=True)
class CredentialInfo:
    """A stored password, without the password."""

    name: str
    kek_id: str
    created: datetime


def identity(name: str) -> bytes:
    """What binds a sealed password to its row."""
    return b"store_credential:sealed:" + name.encode()


@writes
def keep(name: str, password: bytes, sealing: Sealing) -> None:
    """Seal and store a password under a name (`config.next_hop.credential_name`), in place of an older one."""
    sealed = sealing.seal(password, identity=identity(name))
    CredentialRow.objects.update_or_create(name=name, defaults={"kek_id": sealed_by(sealed), "sealed": sealed})
    record("routes", "set-password", name)


def open_password(name: str, sealing: Sealing) -> bytes:
    """Read and open a password; raises CredentialMissingError or another SealError, and StoreUnavailable."""
    rows = select("SELECT sealed FROM store_credential WHERE name = %s", (name,))
    if not rows:
        raise CredentialMissingError(name)
    return sealing.open(bytes(rows[0][0]), identity=identity(name))


@writes
def forget(name: str) -> bool:
    """Delete a password; False: there was none."""
    deleted, _ = CredentialRow.objects.filter(name=name).delete()
    if deleted:
        record("routes", "delete-password", name)
    return bool(deleted)


@reads
def list_credentials() -> tuple[CredentialInfo, ...]:
    """All stored passwords by name, without the passwords."""
    rows = CredentialRow.objects.order_by("name").defer("sealed")
    return tuple(CredentialInfo(row.name, row.kek_id, row.created) for row in rows)
