"""The URLs of the API."""

from django.urls import path

from mailseal.web.api.application import api

urlpatterns = [path("v1/", api.urls)]
