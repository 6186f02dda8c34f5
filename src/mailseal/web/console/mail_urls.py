"""URLs of the message log and of the simulator."""

from django.urls import path

from mailseal.web.console import mails

urlpatterns = [
    path("mails/", mails.listed, name="mails"),
    path("mails/<str:message>/", mails.one, name="mail"),
]
