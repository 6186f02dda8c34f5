"""Every URL of the console and the API."""

from django.urls import include, path

from mailseal.web.console import start

urlpatterns = [
    path("", start.start, name="start"),
    path("", include("mailseal.web.console.policy_urls")),
    path("api/", include("mailseal.web.api.urls")),
    path("account/", include("allauth.urls")),
]
