"""Django's settings for the web, put over those of the store when a process answers browsers."""

import ipaddress
import logging
from pathlib import Path
from typing import Any

from django.conf import settings
from django.urls import clear_url_caches

from mailseal.config import Config
from mailseal.web.accounts import allauth_settings
from mailseal.web.static_files import prefix

HERE = Path(__file__).resolve().parent
MAX_FIELDS_BYTES = 2 * 1024 * 1024
MAX_FIELDS = 2000


def setup(config: Config, secret: str) -> None:
    """Answer browsers in this process. `secret` signs sessions and forms; the store is set up before."""
    for name, value in values(config, secret).items():
        setattr(settings, name, value)
    clear_url_caches()
    for name in _SAID_ELSEWHERE:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def values(config: Config, secret: str) -> dict[str, Any]:
    """The settings by name."""
    return {
        "SECRET_KEY": secret,
        "DEBUG": False,
        "ROOT_URLCONF": "mailseal.web.urls",
        "ALLOWED_HOSTS": hosts(config),
        "MIDDLEWARE": _MIDDLEWARE,
        "TEMPLATES": [_TEMPLATES],
        "STATIC_URL": prefix(),
        "SESSION_COOKIE_NAME": "__Host-mailseal-console",
        "SESSION_COOKIE_SECURE": True,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Strict",
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
        # Never to a file, which would lie there in clear; Django leaves out what it holds to be too large for memory.
        "FILE_UPLOAD_MAX_MEMORY_SIZE": config.web.max_upload_bytes,
        "FILE_UPLOAD_HANDLERS": ["django.core.files.uploadhandler.MemoryFileUploadHandler"],
        **allauth_settings.values(config),
    }


_SAID_ELSEWHERE = ("django.request", "django.security")
"""They would write URLs and headers of strangers into the log; what fails is said by `web.failures`."""


def hosts(config: Config) -> list[str]:
    """The names by which it may be asked."""
    place = config.web.listen
    if config.web.hosts:
        return list(config.web.hosts)
    is_local = place is None or (place.path is None and ipaddress.ip_address(place.host).is_loopback)
    return [config.hostname, *(["localhost", "127.0.0.1", "[::1]"] if is_local else [])]


_MIDDLEWARE = [
    "mailseal.web.headers.SecurityHeaders",
    "mailseal.web.api.middleware.Problems",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "mailseal.web.accounts.limits.SessionLimits",
    "mailseal.web.accounts.language.Language",
    "mailseal.web.visitor.Visitor",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "mailseal.web.accounts.required_factor.RequiredFactor",
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
