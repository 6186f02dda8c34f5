"""URLs of the audit."""

from django.urls import path

from mailseal.web.console import audit

urlpatterns = [
    path("audit/", audit.listed, name="audit"),
    path("audit/export/", audit.export, name="audit-export"),
    path("audit/verify/", audit.verify, name="audit-verify"),
    path("audit/<uuid:event>/", audit.one, name="audit-event"),
]
