"""The URLs of the API."""

from django.urls import path

from mailseal.web.api.application import api
from mailseal.web.api.docs import docs

urlpatterns = [path("v1/", api.urls), path("docs/", docs, name="api-docs")]
