"""The libraries behind accounts (second factors, sessions, logins elsewhere) as apps of Django, with their tables.

Whoever imports this has them. A mail worker and most commands do not: it takes a third of a command's start.
"""

from django.apps import apps
from django.conf import settings

from mailseal.store import django_settings


def _install() -> None:
    wanted = list(django_settings.INSTALLED_APPS)
    if all(apps.is_installed(name) for name in wanted):
        return
    settings.INSTALLED_APPS = wanted
    apps.set_installed_apps(wanted)


_install()
