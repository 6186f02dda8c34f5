"""[web]"""

from dataclasses import dataclass
from pathlib import Path

from mailseal.config import values
from mailseal.config.key import key
from mailseal.config.values import BadValueError, Endpoint, Network

MAX_HOSTS = 50


def _hosts(raw: object) -> tuple[str, ...]:
    found = tuple(values.hostname(one) for one in values.items(raw))
    if len(found) > MAX_HOSTS:
        raise BadValueError(f"may name {MAX_HOSTS} hosts at most")
    return found


def _tcp_endpoint(raw: object) -> Endpoint | None:
    place = values.optional_endpoint(raw)
    if place is not None and place.path is not None:
        raise BadValueError('must be host:port, or "off"')
    return place


def _database_url(raw: object) -> str:
    try:
        return values.database_url(raw)
    except BadValueError as error:
        raise BadValueError(str(error).replace("database.password_file", "web.database_password_file")) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """The console and the API, over HTTPS: see web.md."""

    listen: Endpoint | None = key(
        values.optional_endpoint,
        "Where browsers and programs ask: host:port, with TLS; or the path of a UNIX socket, without, for a proxy of "
        'yours that has the TLS (web.md); or "off".',
        example='"0.0.0.0:8443"',
        default=None,
        default_text='"off"',
    )
    plain_listen: Endpoint | None = key(
        _tcp_endpoint,
        "Where http without TLS is answered, or "
        '"off": a CA that asks for a proof that a name is ours (`mailseal tls-certificate acme`) finds it there; '
        "everybody else is sent on to https. A CA asks at port 80.",
        example='"0.0.0.0:80"',
        default=None,
        default_text='"off"',
    )
    hosts: tuple[str, ...] = key(
        _hosts,
        "The names by which it may be asked; any other is refused. Unless set: `hostname`, and localhost where "
        "`listen` is a loopback address.",
        example='["console.example.com"]',
        default=(),
        default_text="[]",
    )
    tls_certificate: Path | None = key(
        values.path,
        "A certificate that something else renews: a PEM file with the server's own first, then its issuers. A changed "
        "file is noticed within a second. Unless set: the one that Mailseal keeps (`mailseal tls-certificate`).",
        example='"/etc/mailseal/tls/console.pem"',
        default=None,
        default_text="none",
    )
    tls_key: Path | None = key(
        values.path,
        "The key of that certificate, PEM without a password, for the user of the web role to read and not for all; "
        "else it is in the same file.",
        example='"/etc/mailseal/tls/console.key"',
        default=None,
        default_text="none; taken from tls_certificate",
    )
    trusted_proxies: tuple[Network, ...] = key(
        values.networks,
        "Proxies whose X-Forwarded-For is believed. Behind a UNIX socket the proxy is always believed.",
        example='["10.0.0.5/32"]',
        default=(),
        default_text="[]",
    )
    socket_group: str = key(
        values.text,
        "The group that may connect to the UNIX socket: that of the proxy.",
        example='"www-data"',
        default="www-data",
    )
    threads: int = key(values.whole(4, 64), "Requests that are answered at the same time.", example="12", default=12)
    max_upload_bytes: int = key(
        values.size(1 << 20, 256 << 20),
        "The largest request; what the worker is to read of it (a mail, a file of keys) is limited to 25 MiB.",
        example='"50 MiB"',
        default=50 << 20,
        default_text='"50 MiB"',
    )
    session_hours: int = key(
        values.whole(1, 7 * 24), "How long somebody stays signed in, whatever they do.", example="12", default=12
    )
    idle_minutes: int = key(
        values.whole(1, 24 * 60), "How long somebody stays signed in who does nothing.", example="60", default=60
    )
    second_factor: bool = key(
        values.flag,
        "Whether everybody needs a second factor or a passkey; who has none yet sets one up when signing in.",
        example="true",
        default=False,
    )
    openid_roots: Path | None = key(
        values.path,
        "Root certificates, PEM, by which OpenID Connect providers are checked. Unless set: those that come with "
        "Mailseal's libraries (certifi).",
        example='"/etc/mailseal/tls/company-roots.pem"',
        default=None,
        default_text="none",
    )
    database_url: str | None = key(
        _database_url,
        "The same MariaDB by an account of the web's own, which cannot read sealed columns (`mailseal store grants`). "
        "Unless set: `database.url`.",
        example='"mysql://mailseal_web@127.0.0.1:3306/mailseal"',
        default=None,
        default_text="none",
    )
    database_password: str | None = key(
        values.secret,
        "The password of that account. Better: `database_password_file`, a file that only the user of the web role "
        "reads.",
        example='"…"',
        default=None,
        default_text="none",
        secret=True,
    )
