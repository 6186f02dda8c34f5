"""URLs of the message log and of the simulator."""

from django.urls import path

from mailseal.web.console import mails, simulator

urlpatterns = [
    path("mails/", mails.listed, name="mails"),
    path("mails/<str:message>/", mails.one, name="mail"),
    path("simulator/", simulator.simulator, name="simulator"),
    path("simulator/<uuid:job>/", simulator.later, name="simulation"),
]
