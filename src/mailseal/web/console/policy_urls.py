"""URLs of settings, domains, addresses, keys and the quarantine."""

from django.urls import path

from mailseal.web.console import settings

urlpatterns = [
    path("settings/", settings.settings, name="settings"),
]
