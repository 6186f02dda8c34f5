"""Who of the entry's clients is Exchange Online (access(5)).

Postfix can tell a client by its network, or by the fingerprint of its certificate or public key; the name in a
client's certificate it cannot check. Whose mail it is, of all tenants that share these networks and certificates,
Mailseal reads in the header: as far as Postfix is concerned, what comes from there may go anywhere.
"""

from collections.abc import Iterator, Sequence

from mailseal.config import Config
from mailseal.postfix.parts import Options, Setting

CLIENTS = "mailseal_office365_clients"
"""The setting (a name of our own) that leads their mail to its socket."""
ALLOWED = "mailseal_office365_allowed"
"""That they may relay."""
UNKNOWN = "mailseal_office365_unknown"
"""That clients of their networks wait which show none of the certificates that count."""
_NO_CERTIFICATE = "450 4.7.1 A client certificate that is known here is needed"


def restrictions(config: Config) -> Sequence[str]:
    """To stand before those that keep others from relaying."""
    if not config.office365.on:
        return ()
    if config.office365.client_fingerprints:
        return (f"check_ccert_access ${CLIENTS}", f"check_ccert_access ${ALLOWED}", f"check_client_access ${UNKNOWN}")
    return (f"check_client_access ${CLIENTS}", f"check_client_access ${ALLOWED}")


def options(config: Config) -> Options:
    """Of the entry: where certificates count, each client is asked for one; most have none."""
    if not config.office365.on or not config.office365.client_fingerprints:
        return ()
    return (("smtpd_tls_ask_ccert", "yes"), ("smtpd_tls_fingerprint_digest", "sha256"))


def settings(config: Config, content_filter: str, topic: str) -> Iterator[Setting]:
    """What the restrictions refer to."""
    if config.office365.client_fingerprints:
        yield Setting(CLIENTS, _certificates(config, f"FILTER {content_filter}"), topic)
        yield Setting(ALLOWED, _certificates(config, "permit"), topic)
        yield Setting(UNKNOWN, _networks(config, _NO_CERTIFICATE), topic)
        return
    secure = "reject_plaintext_session, " if config.listen.tls_certificate is not None else ""
    yield Setting(CLIENTS, _networks(config, f"FILTER {content_filter}"), topic)
    yield Setting(ALLOWED, _networks(config, f"{secure}permit"), topic)


def _networks(config: Config, result: str) -> str:
    rows = " ".join(f"{{ {network} {result} }}" for network in config.office365.networks)
    return f"cidr:{{ {rows} }}"


def _certificates(config: Config, result: str) -> str:
    rows = ", ".join(f"{{ {one} = {result} }}" for one in config.office365.client_fingerprints)
    return f"inline:{{ {rows} }}"
