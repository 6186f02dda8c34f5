"""The page where people sign in: allauth's, with the providers of OpenID Connect."""

from typing import Any

from allauth.account.views import LoginView

from mailseal.store.accounts import providers


class SignIn(LoginView):  # type: ignore[misc]  # the library has no types
    """Password, passkey or provider."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """For the template."""
        found: dict[str, Any] = super().get_context_data(**kwargs)
        return found | {"providers": providers.list_providers()}
