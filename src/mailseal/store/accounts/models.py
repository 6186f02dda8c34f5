"""The table of accounts, Django's user model. Second factors, sessions, logins elsewhere are the libraries' tables."""

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models

from mailseal.store.row import Row, utc_now


class Accounts(BaseUserManager["Account"]):
    """How Django finds an account."""


class Account(AbstractBaseUser, Row):
    """A person. `roles` are names of `Role`; `domains` limit a domain administrator; `email` is kept case-folded."""

    email = models.CharField(max_length=254, unique=True)
    name = models.CharField(max_length=200, default="")
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
