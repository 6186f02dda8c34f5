"""Django's settings for the web, put over those of the store when a process answers browsers."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.urls import clear_url_caches

from mailseal.config import Config
from mailseal.web.static_files import prefix

HERE = Path(__file__).resolve().parent
SESSION_SECONDS = 12 * 3600
MAX_UPLOAD_BYTES = 50 * 1024 * 1024
MAX_FIELDS_BYTES = 2 * 1024 * 1024
MAX_FIELDS = 2000


def setup(config: Config, secret: str) -> None:
    """Answer browsers in this process. `secret` signs sessions and forms; the store is set up before."""
    for name, value in values(config, secret).items():
        setattr(settings, name, value)
    clear_url_caches()


def values(config: Config, secret: str) -> dict[str, Any]:
    """The settings by name."""
    return {
        "SECRET_KEY": secret,
        "DEBUG": False,
        "ROOT_URLCONF": "mailseal.web.urls",
        "ALLOWED_HOSTS": [config.hostname, "localhost", "127.0.0.1", "[::1]"],
        "MIDDLEWARE": _MIDDLEWARE,
        "TEMPLATES": [_TEMPLATES],
        "STATIC_URL": prefix(),
        "AUTHENTICATION_BACKENDS": ["allauth.account.auth_backends.AuthenticationBackend"],
        "LOGIN_URL": "account_login",
        "LOGIN_REDIRECT_URL": "start",
        "SESSION_COOKIE_NAME": "__Host-mailseal-console",
        "SESSION_COOKIE_SECURE": True,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Strict",
        "SESSION_COOKIE_AGE": SESSION_SECONDS,
        "CSRF_COOKIE_NAME": "__Host-mailseal-csrf",
        "CSRF_COOKIE_SECURE": True,
        "CSRF_COOKIE_HTTPONLY": True,
        "CSRF_COOKIE_SAMESITE": "Strict",
        "LANGUAGES": [("en", "English"), ("de", "Deutsch")],
        "LANGUAGE_CODE": "en",
        "LOCALE_PATHS": [str(HERE / "locale")],
        "USE_I18N": True,
        "MESSAGE_STORAGE": "django.contrib.messages.storage.session.SessionStorage",
        "DATA_UPLOAD_MAX_MEMORY_SIZE": MAX_FIELDS_BYTES,
        "DATA_UPLOAD_MAX_NUMBER_FIELDS": MAX_FIELDS,
        "FILE_UPLOAD_HANDLERS": ["django.core.files.uploadhandler.MemoryFileUploadHandler"],
        "ACCOUNT_LOGIN_METHODS": {"email"},
        "ACCOUNT_SIGNUP_FIELDS": ["email*", "password1*"],
        "ACCOUNT_USER_MODEL_USERNAME_FIELD": None,
        "ACCOUNT_EMAIL_VERIFICATION": "none",
    }


_MIDDLEWARE = [
    "mailseal.web.headers.SecurityHeaders",
    "mailseal.web.api.middleware.Problems",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "mailseal.web.visitor.Visitor",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
]

_TEMPLATES = {
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "DIRS": [str(HERE / "templates")],
    "OPTIONS": {
        "context_processors": [
            "django.template.context_processors.request",
            "django.contrib.auth.context_processors.auth",
            "django.contrib.messages.context_processors.messages",
            "mailseal.web.console.navigation.context",
        ],
        "builtins": ["mailseal.web.look"],
    },
}
