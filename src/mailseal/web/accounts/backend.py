"""Who an email address and a password belong to. Addresses compare as everywhere here: local part case-folded."""

from allauth.account.auth_backends import AuthenticationBackend

from mailseal.store.accounts.accounts import account_email
from mailseal.store.accounts.errors import AccountError
from mailseal.store.accounts.models import Account


class Backend(AuthenticationBackend):  # type: ignore[misc]  # the library has no types
    """Takes as long for an address that has no account."""

    def _authenticate_by_email(self, email: str, password: str) -> Account | None:
        try:
            key = account_email(email)
        except AccountError:
            return None
        found = Account.objects.filter(email=key).first()
        return found if self._check_password(found, password) is not None else None
