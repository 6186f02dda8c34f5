"""Which services of somebody else's master.cf let mail pass Mailseal by."""

import pytest

from mailseal.postfix.bypass import unfiltered
from mailseal.postfix.program import ServiceLine


@pytest.mark.parametrize(
    ("name", "kind", "command", "arguments", "by_main", "passes"),
    [
        ("submission", "inet", "smtpd", "-o smtpd_tls_security_level=encrypt", "", True),
        ("submission", "inet", "smtpd", "-o content_filter=", "scan:[127.0.0.1]:10024", True),
        ("submission", "inet", "smtpd", "-o content_filter=mailseal:unix:mailseal/lmtp-submission", "", False),
        ("submission", "inet", "smtpd", "-o { content_filter = mailseal:unix:x } -o a=b", "", False),
        ("submission", "inet", "smtpd", "-o content_filter=a:b -o content_filter=", "", True),
        ("submission", "inet", "smtpd", "", "scan:[127.0.0.1]:10024", False),
        ("192.0.2.25:2525", "inet", "smtpd", "", "", True),
        ("smtpd", "pass", "smtpd", "", "", True),
        ("628", "inet", "qmqpd", "", "", True),
        ("127.0.0.1:10025", "inet", "smtpd", "-o content_filter=", "", False),
        ("[::1]:10025", "inet", "smtpd", "", "", False),
        ("smtp", "inet", "postscreen", "", "", False),
        ("smtp", "unix", "smtp", "", "", False),
        ("0.0.0.0:25", "inet", "smtpd", "", "", False),
    ],
)
def test_what_passes_by(name, kind, command, arguments, by_main, passes):
    line = ServiceLine(name, kind, "n", command, arguments)
    assert list(unfiltered([line], {"0.0.0.0:25/inet"}, by_main)) == ([line.key] if passes else [])
