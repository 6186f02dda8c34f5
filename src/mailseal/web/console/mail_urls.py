"""URLs of the message log, of the simulator and of the checks."""

from django.urls import path

from mailseal.web.console import checks, mails, simulator

urlpatterns = [
    path("checks/", checks.checks, name="checks"),
    path("mails/", mails.listed, name="mails"),
    path("mails/<str:message>/", mails.one, name="mail"),
    path("simulator/", simulator.simulator, name="simulator"),
    path("simulator/<uuid:job>/", simulator.later, name="simulation"),
]
