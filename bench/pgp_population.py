"""OpenPGP keys for measuring: N people inside with secret keys, N outside, and mails from these to those.

The keys are made by the engine's generator; but for RSA, whose primes are combined as in `population`.
"""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from unittest.mock import patch

import incoming
from cryptography.hazmat.primitives.asymmetric import rsa
from population import BATCH, INSIDE, OUTSIDE, keys, primes

from mailseal.config import load
from mailseal.keys.kek_ring import KekRing
from mailseal.openpgp.certificate import read_certificate
from mailseal.openpgp.generate import GeneratedKey, KeyKind, generate
from mailseal.store import domains, setup
from mailseal.store.keks import open_ring
from mailseal.store.pgp_keep import Arrival, keep, prepare
from mailseal.store.pgp_rows import Provenance
from mailseal.store.stamps import Scope, bump
from mailseal.store.transaction import run

RSA_BITS = 3072


def inside(kind: KeyKind, number: int) -> str:
    return f"{kind}-{number}@{INSIDE}"


def outside(kind: KeyKind, number: int) -> str:
    return f"{kind}-{number}@{OUTSIDE}"


def make(config_path: Path, count: int, kind: KeyKind) -> Path:
    """Fill the store behind a configuration; done once, a mark says so. Returns the file with mails to open."""
    config = load(config_path, os.environ)
    mark, mails = (config.data_dir / f"{kind}-{count}.{end}" for end in ("json", "mails"))
    if mark.exists():
        return mails
    setup(config)
    kek = open_ring(config.keys.kek)
    domains.add(INSIDE)
    supply = keys(primes(int((8 * count) ** 0.5) + 2, RSA_BITS), RSA_BITS) if kind is KeyKind.RSA3072 else iter(())
    with patch.object(rsa, "generate_private_key", lambda *_: next(supply)):
        incoming.write(mails, people(kind, count, kek))
    run(lambda: bump(Scope.KEYS))
    mark.write_text(json.dumps({"count": count}))
    return mails


def people(kind: KeyKind, count: int, kek: KekRing) -> Iterator[tuple[str, str, bytes]]:
    """Make and store them; yields the mails of the first ones."""
    at = datetime.now(UTC).replace(microsecond=0)
    arrivals = []
    for number in range(count):
        reader, writer = (
            generate([f"<{one(kind, number)}>"], kind, expires_after=timedelta(days=1000), at=at)
            for one in (inside, outside)
        )
        if number < incoming.MAILS:
            yield outside(kind, number), inside(kind, number), incoming.openpgp_mail(writer, reader)
        arrivals += [arrival(reader, own=True), arrival(writer, own=False)]
        if len(arrivals) >= BATCH or number == count - 1:
            run(partial(keep, prepare(arrivals), kek, at))
            print(f"\r{number + 1} of {count} pairs of {kind} keys", end="", flush=True)
            arrivals = []
    print()


def arrival(made: GeneratedKey, *, own: bool) -> Arrival:
    certificate = read_certificate(made.octets)
    return Arrival(made.octets, certificate, Provenance.IMPORT.value, vouched=True, keys=made.keys if own else ())
