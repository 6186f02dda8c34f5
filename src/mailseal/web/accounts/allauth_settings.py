"""How django-allauth is used here, as Django settings: all that is not needed is off."""

from typing import Any, Final

from mailseal.config import Config

REAUTHENTICATION_SECONDS: Final = 300
SIGN_IN_SECONDS: Final = 15 * 60
"""From the password to the second factor."""


def values(config: Config) -> dict[str, Any]:
    """The settings by name."""
    return {
        "AUTHENTICATION_BACKENDS": ["mailseal.web.accounts.backend.Backend"],
        "SESSION_ENGINE": "mailseal.web.accounts.sealed_sessions",
        "SESSION_COOKIE_AGE": config.web.session_hours * 3600,
        "MAILSEAL_IDLE_SECONDS": config.web.idle_minutes * 60,
        "MAILSEAL_SECOND_FACTOR": config.web.second_factor,
        "MAILSEAL_OPENID_ROOTS": config.web.openid_roots,
        "LOGIN_URL": "account_login",
        "LOGIN_REDIRECT_URL": "start",
        "ACCOUNT_ADAPTER": "mailseal.web.accounts.adapter.AccountAdapter",
        "ACCOUNT_LOGIN_METHODS": {"email"},
        "ACCOUNT_SIGNUP_FIELDS": ["email*", "password1*"],
        "ACCOUNT_SIGNUP_ENABLED": False,
        "ACCOUNT_USER_MODEL_USERNAME_FIELD": None,
        "ACCOUNT_USER_DISPLAY": "mailseal.web.accounts.adapter.display",
        "ACCOUNT_EMAIL_VERIFICATION": "none",
        "ACCOUNT_SESSION_REMEMBER": False,
        "ACCOUNT_LOGIN_TIMEOUT": SIGN_IN_SECONDS,
        "ACCOUNT_LOGOUT_REDIRECT_URL": "account_login",
        "ACCOUNT_REAUTHENTICATION_TIMEOUT": REAUTHENTICATION_SECONDS,
        "ACCOUNT_REAUTHENTICATION_REQUIRED": True,
        "ACCOUNT_REAUTHENTICATION_METHODS": ["password", "mfa"],
        # Counted in the database instead (`store.accounts.lockout`): these would lock others out.
        "ACCOUNT_RATE_LIMITS": {"login_failed": None, "login": None},
        "MFA_ADAPTER": "mailseal.web.accounts.second_factors.SecondFactors",
        "MFA_FORMS": {
            "authenticate": "mailseal.web.accounts.factor_forms.SignInCodeForm",
            "reauthenticate": "mailseal.web.accounts.factor_forms.ConfirmCodeForm",
            "add_webauthn": "mailseal.web.accounts.factor_forms.AddPasskeyForm",
            "authenticate_webauthn": "mailseal.web.accounts.factor_forms.SignInPasskeyForm",
            "login_webauthn": "mailseal.web.accounts.factor_forms.PasskeyAloneForm",
            "reauthenticate_webauthn": "mailseal.web.accounts.factor_forms.ConfirmPasskeyForm",
        },
        "MFA_RATE_LIMITS": {"webauthn_login": "30/m/ip"},
        "MFA_SUPPORTED_TYPES": ["totp", "webauthn", "recovery_codes"],
        "MFA_PASSKEY_LOGIN_ENABLED": True,
        "MFA_RECOVERY_CODES_SHOW_ONCE": True,
        "MFA_RECOVERY_CODE_DIGITS": 10,
        "MFA_TOTP_ISSUER": "Mailseal",
        "MFA_TOTP_TOLERANCE": 1,
        "SOCIALACCOUNT_ADAPTER": "mailseal.web.accounts.providers.Providers",
        "SOCIALACCOUNT_PROVIDERS": {"openid_connect": {"OAUTH_PKCE_ENABLED": True}},
        "SOCIALACCOUNT_STORE_TOKENS": False,
        "SOCIALACCOUNT_OPENID_CONNECT_URL_PREFIX": "",
    }
