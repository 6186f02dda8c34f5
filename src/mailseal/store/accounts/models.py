"""The tables of accounts: Django's user model, and what stands for an account without its password.

Second factors, sessions and logins elsewhere are the libraries' tables.
"""

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import CASCADE

from mailseal.store.accounts.secret_text import DIGEST_CHARS
from mailseal.store.row import Row, utc_now

NAME_CHARS = 200
EMAIL_CHARS = 254
PLACE_CHARS = 45
"""An IPv6 address with an IPv4 one in it (RFC 4291 §2.2)."""


class Accounts(BaseUserManager["Account"]):
    """How Django finds an account."""


class Account(AbstractBaseUser, Row):
    """A person. `roles` are names of `Role`; `domains` limit a domain administrator; `email` is kept case-folded."""

    email = models.CharField(max_length=EMAIL_CHARS, unique=True)
    name = models.CharField(max_length=NAME_CHARS, default="")
    language = models.CharField(max_length=8, default="")
    is_active = models.BooleanField(default=True)
    roles = models.JSONField(default=list)
    domains = models.JSONField(default=list)
    created = models.DateTimeField(default=utc_now)

    objects = Accounts()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        db_table = "accounts_account"


class TokenRow(Row):
    """An API token. `digest`: SHA-256 of it; `scopes`: "area:verb", None for all that the account may."""

    account = models.ForeignKey(Account, CASCADE, related_name="tokens")
    name = models.CharField(max_length=NAME_CHARS)
    digest = models.CharField(max_length=DIGEST_CHARS, unique=True)
    scopes = models.JSONField(null=True, default=None)
    created = models.DateTimeField(default=utc_now)
    expires = models.DateTimeField()
    last_used = models.DateTimeField(null=True, default=None)
    last_place = models.CharField(max_length=PLACE_CHARS, default="")

    class Meta:
        db_table = "accounts_token"


class LinkRow(Row):
    """A one-time link by which somebody sets their password: the first one, or another. `digest` as of a token."""

    account = models.ForeignKey(Account, CASCADE, related_name="links")
    digest = models.CharField(max_length=DIGEST_CHARS, unique=True)
    created = models.DateTimeField(default=utc_now)
    expires = models.DateTimeField()
    used = models.DateTimeField(null=True, default=None)

    class Meta:
        db_table = "accounts_link"


class FailureRow(Row):
    """Sign-ins, see `lockout`. `key`: SHA-256 of whose; `until`: not before; `succeeded`: when the last one did.

    Or a code that was used at `last`.
    """

    key = models.CharField(max_length=DIGEST_CHARS, unique=True)
    count = models.PositiveIntegerField(default=0)
    last = models.DateTimeField(default=utc_now, db_index=True)
    until = models.DateTimeField(null=True, default=None)
    succeeded = models.DateTimeField(null=True, default=None)

    class Meta:
        db_table = "accounts_failure"
