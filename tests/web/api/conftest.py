"""Callers of the API: a token of somebody with some roles, and a client that sends it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from mailseal.store.accounts import tokens
from mailseal.store.accounts.models import Account
from mailseal.store.accounts.roles import Role

BASE = "/api/v1"


@dataclass(frozen=True, slots=True)
class Api:
    """Sends requests with one token."""

    secret: str = field(repr=False)
    account: Account

    def __call__(self, method: str, path: str, body: object = None, **headers: str):
        client = Client(SERVER_NAME="localhost", raise_request_exception=False)
        more = {"HTTP_" + name.upper(): value for name, value in headers.items()}
        if body is not None:
            more |= {"data": body if isinstance(body, bytes) else json.dumps(body), "content_type": "application/json"}
        if self.secret:
            more["HTTP_AUTHORIZATION"] = f"Bearer {self.secret}"
        return client.generic(method, BASE + path, secure=True, **more)


@pytest.fixture
def api(web) -> Callable[..., Api]:
    """A caller of these roles (an administrator if none is said), their token limited to `scopes`."""

    def make(*roles: Role, domains: tuple[str, ...] = (), scopes: tuple[str, ...] | None = None) -> Api:
        chosen = roles or (Role.ADMINISTRATOR,)
        account, _ = Account.objects.get_or_create(
            email=f"{chosen[0].value}@inside.example",
            defaults={"roles": [one.value for one in chosen], "domains": list(domains)},
        )
        _, secret = tokens.make(account.pk, "test", scopes, datetime.now(UTC) + timedelta(hours=1))
        return Api(secret, account)

    return make
