"""URLs of settings, domains, addresses, keys and the quarantine."""

from django.urls import path

from mailseal.web.console import addresses, domains, held_actions, keys, quarantine, settings

urlpatterns = [
    path("settings/", settings.settings, name="settings"),
    path("domains/", domains.listed, name="domains"),
    path("domains/<name>/", domains.one, name="domain"),
    path("domains/<name>/change/", domains.change, name="domain-change"),
    path("domains/<name>/delete/", domains.delete, name="domain-delete"),
    path("addresses/", addresses.listed, name="addresses"),
    path("addresses/<path:address>/delete/", addresses.delete, name="address-delete"),
    path("addresses/<path:address>/", addresses.one, name="address"),
    path("keys/", keys.expiring, name="keys"),
    path("quarantine/", quarantine.listed, name="quarantine"),
    path("quarantine/<uuid:held>/", quarantine.one, name="held"),
    path("quarantine/<uuid:held>/content/", quarantine.view, name="held-look"),
    path("quarantine/<uuid:held>/content/<uuid:job>/", quarantine.view_later, name="held-view"),
    path("quarantine/<uuid:held>/<slug:name>/", held_actions.act, name="held-act"),
]
