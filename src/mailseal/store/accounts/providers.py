"""OpenID Connect providers by whom accounts can sign in (OpenID Connect Core 1.0), as rows of allauth.

A provider makes no account: it says who somebody is, by a verified address in a domain that it is trusted for.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from mailseal.store import with_libraries  # noqa: F401 -- the tables below

# isort: split
from allauth.socialaccount.models import SocialAccount, SocialApp

from mailseal.mail.address import AddressError
from mailseal.store import audit
from mailseal.store.accounts import alerts
from mailseal.store.accounts.errors import AccountError
from mailseal.store.accounts.models import Account
from mailseal.store.audit_mask import Json
from mailseal.store.owners import domain_name
from mailseal.store.transaction import reads, writes

KIND: Final = "openid_connect"
MAX_PROVIDERS = 5
MAX_CHARS = 180
MAX_TRUSTED = 50
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,29}", re.ASCII)
_SEALED, _ISSUER, _TRUSTED, _ASKS = "sealed_secret", "server_url", "trusted_domains", "asks_second_factor"


@dataclass(frozen=True, slots=True)
class Provider:
    """`id` is part of its callback URL. `issuer`: an https URL. `domains`: whose addresses it is believed for.

    `asks_second_factor`: who signs in by it needs none here.
    """

    id: str
    name: str
    issuer: str
    client_id: str
    domains: frozenset[str]
    asks_second_factor: bool


@reads
def list_providers() -> tuple[Provider, ...]:
    """All, by name."""
    return tuple(_provider(app) for app in SocialApp.objects.filter(provider=KIND).order_by("name", "pk"))


@writes
def save(provider: Provider, sealed_secret: str | None) -> None:
    """Add a provider or change it; None keeps its secret, which the web has sealed. Raises AccountError.

    Whom another issuer has named, and who is of a domain for which it is believed no longer, is asked for anew.
    """
    _require_sound(provider)
    app = SocialApp.objects.filter(provider=KIND, provider_id=provider.id).first()
    before = None if app is None else _facts(_provider(app))
    if app is None:
        if sealed_secret is None:
            raise AccountError("a provider needs the secret that it has given us")
        if SocialApp.objects.filter(provider=KIND).count() >= MAX_PROVIDERS:
            raise AccountError(f"there are {MAX_PROVIDERS} providers at most")
        app = SocialApp(provider=KIND, provider_id=provider.id, settings={})
    _forget_people(app, provider)
    app.name, app.client_id = provider.name, provider.client_id
    app.settings = {
        _ISSUER: provider.issuer,
        _TRUSTED: sorted(domain_name(domain) for domain in provider.domains),
        _ASKS: provider.asks_second_factor,
        _SEALED: sealed_secret if sealed_secret is not None else app.settings.get(_SEALED, ""),
    }
    app.save()
    audit.record("accounts", "save-provider", provider.id, before=before, after=_facts(provider))
    alerts.tell_of_provider(provider.name)


def _forget_people(app: Any, provider: Provider) -> None:
    """The names that it has given to people count for one issuer, and for the domains that it is believed for."""
    known, domains = SocialAccount.objects.filter(provider=provider.id), {domain_name(one) for one in provider.domains}
    if app.settings.get(_ISSUER, provider.issuer) == provider.issuer:
        emails = known.values_list("pk", "user__email")
        known = known.filter(pk__in=[key for key, email in emails if email.rpartition("@")[2] not in domains])
    known.delete()


@writes
def remove(provider_id: str) -> None:
    """Nobody signs in by it any more; raises AccountError."""
    app = SocialApp.objects.filter(provider=KIND, provider_id=provider_id).first()
    if app is None:
        raise AccountError("there is no such provider")
    audit.record("accounts", "remove-provider", provider_id, before=_facts(_provider(app)))
    SocialAccount.objects.filter(provider=provider_id).delete()
    app.delete()


@reads
def sealed_secret_of(app: Any) -> str:
    """Of a row of the library."""
    return str(app.settings.get(_SEALED, ""))


@reads
def account_for(app: Any, email: str) -> Account | None:
    """The account of an address that a provider has verified; None: none, or it is not believed for that domain."""
    domain = email.rpartition("@")[2]
    if domain not in app.settings.get(_TRUSTED, ()):
        return None
    return Account.objects.filter(email=email, is_active=True).first()


@reads
def asks_second_factor(provider_id: str) -> bool:
    """Whether who signs in by a provider needs no second factor here."""
    app = SocialApp.objects.filter(provider=KIND, provider_id=provider_id).first()
    return app is not None and bool(app.settings.get(_ASKS))


def _require_sound(provider: Provider) -> None:
    if not _ID.fullmatch(provider.id):
        raise AccountError("a provider's short name has small letters, digits and hyphens, 30 at most")
    if not (provider.name and provider.client_id) or max(len(provider.name), len(provider.client_id)) > MAX_CHARS:
        raise AccountError(f"a provider has a name and a client ID, of {MAX_CHARS} characters at most")
    parts = urlsplit(provider.issuer)
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise AccountError("the issuer is a URL that starts with https://")
    if not provider.domains:
        raise AccountError("say for which domains the provider is believed")
    _require_domains(provider.domains)


def _require_domains(domains: Collection[str]) -> None:
    if len(domains) > MAX_TRUSTED:
        raise AccountError(f"a provider is believed for {MAX_TRUSTED} domains at most")
    try:
        names = [domain_name(domain) for domain in domains]
    except AddressError as error:
        raise AccountError(str(error)) from None
    if any(name.startswith("*") for name in names):
        raise AccountError("a provider is believed for domains, not for wildcards")


def _provider(app: Any) -> Provider:
    found = app.settings
    return Provider(
        app.provider_id,
        app.name,
        str(found.get(_ISSUER, "")),
        app.client_id,
        frozenset(found.get(_TRUSTED, ())),
        bool(found.get(_ASKS)),
    )


def _facts(provider: Provider) -> Json:
    return {
        "name": provider.name,
        "issuer": provider.issuer,
        "client_id": provider.client_id,
        "domains": sorted(provider.domains),
        "asks_second_factor": provider.asks_second_factor,
    }
