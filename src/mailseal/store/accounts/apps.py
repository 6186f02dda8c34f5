"""The Django app of accounts."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Named apart from the library's `account`."""

    name = "mailseal.store.accounts"
    label = "accounts"
