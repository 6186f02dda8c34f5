"""There is a certificate, but not one to encrypt with: the mail is refused, and the log says why in a code."""

import pytest

from harness.client import Client
from harness.mail import mail
from harness.site import UNUSABLE, Site

ANNA, SARA = "anna@alpha.example", "sara@secret.example"
REASONS = {
    "expired": "certificate-expired",
    "early": "certificate-not-yet-valid",
    "revoked": "certificate-revoked",
    "usage": "certificate-wrong-usage",
    "untrusted": "certificate-untrusted",
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_refused_with_the_reason(alpha: Site, authorised: Client, what: str) -> None:
    reader = f"{what}@secret.example"

    reply = authorised.send(ANNA, [reader, SARA], mail(ANNA, f"{reader}, {SARA}"))

    assert reply.end[0].startswith("550 5.7.1"), reply
    assert reply.end[1].startswith("250"), reply
    assert [copy.recipients for copy in alpha.outside.wait(1)] == [(SARA,)]
    [row] = alpha.gateway.wait_for_log(1, "--recipient", reader)
    assert row["fate"] == "refused"
    assert REASONS[what] in row["reason_codes"] or REASONS[what] in str(row["reasons"]), row
