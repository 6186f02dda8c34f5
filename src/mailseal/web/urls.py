"""Every URL of the console and the API."""

from django.urls import include, path

from mailseal.web.accounts import urls as accounts
from mailseal.web.console import start

handler500 = "mailseal.web.failures.server_error"

urlpatterns = [
    path("", start.start, name="start"),
    path("", include("mailseal.web.console.mail_urls")),
    path("", include("mailseal.web.console.policy_urls")),
    path("", include("mailseal.web.console.audit_urls")),
    path("api/", include("mailseal.web.api.urls")),
    path("account/", include(accounts.OWN)),
    path("accounts/", include(accounts.OTHERS)),
]
