"""[discover]"""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mailseal.config import values
from mailseal.config.key import key
from mailseal.config.values import BadValueError

MAX_KEY_SERVERS = 8


def _key_servers(raw: object) -> tuple[str, ...]:
    found = tuple(read_key_server(one) for one in values.items(raw))
    if len(found) > MAX_KEY_SERVERS:
        raise BadValueError(f"may name {MAX_KEY_SERVERS} servers at most")
    return found


def read_key_server(raw: object) -> str:
    """The URL of a key server; raises BadValueError."""
    value = values.text(raw)
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 -- reading it is the check
    except ValueError:
        parts = urlsplit("")
    more = parts.username is not None or parts.query or parts.fragment or parts.path.strip("/")
    if parts.scheme not in ("https", "hkps") or not parts.hostname or more:
        raise BadValueError("must be https://host (VKS) or hkps://host (HKP)")
    return value.rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Discover:
    """What the worker looks for on the network: nothing, unless a policy setting asks for it (`pgp_lookup`)."""

    wkd: bool = key(
        values.flag,
        "Whether OpenPGP keys are looked for at the domain of the address (Web Key Directory).",
        example="false",
        default=True,
    )
    key_servers: tuple[str, ...] = key(
        _key_servers,
        "Key servers that are asked where the domain has no key, in this order: `https://host` (VKS, whose keys their "
        "owners have confirmed), `hkps://host` (HKP). They learn the addresses. An empty list: none.",
        example='["https://keys.openpgp.org"]',
        default=(),
        default_text="[]",
    )
    allow_private: bool = key(
        values.flag,
        "Whether private and loopback addresses, and ports other than 443, may be called.",
        example="true",
        default=False,
    )
    ca: Path | None = key(
        values.path,
        "PEM file of the certification authorities that count instead of the system's.",
        example='"/etc/mailseal/web-ca.pem"',
        default=None,
        default_text="none; the system's count",
    )
    total_seconds: int = key(
        values.whole(1, 60), "How long one request may take in all, redirects included.", example="10", default=10
    )
    max_bytes: int = key(
        values.size(1024, 64 << 20), "The largest answer that is read.", example='"1 MiB"', default=1 << 20
    )
    wait_seconds: int = key(
        values.whole(0, 10),
        "How long a mail waits for a look-up before it is deferred (451), where `pgp_lookup` is `wait`.",
        example="3",
        default=3,
    )
    limit_minutes: int = key(
        values.whole(1, 24 * 60),
        "How long mail is deferred for a look-up that does not end; then it goes on as if there were no key.",
        example="30",
        default=30,
    )
    keep_none_hours: int = key(
        values.whole(1, 24 * 30), "For how long it counts that there was no key.", example="1", default=1
    )
    keep_found_hours: int = key(
        values.whole(1, 24 * 365),
        "After how long an address with keys that were found is looked for again, if none of them can be used, or only "
        "since its domain publishes them (`pgp_trust_wkd`).",
        example="24",
        default=24,
    )
