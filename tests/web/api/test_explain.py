"""What would happen to a mail, over the API: asked of a worker that is there."""

import base64

from mailseal.store import domains, overrides
from mailseal.store.accounts.roles import Role

MAIL = b"From: a@inside.example\nTo: b@outside.example\nSubject: x\n\nhello\n"


def asked(**more):
    return {"sender": "a@inside.example", "recipients": ["b@outside.example"], **more}


def test_what_would_happen_is_told_with_the_settings_that_cause_it(api, worker):
    domains.add("inside.example")
    overrides.set_override("b@outside.example", "mode", "mandatory")
    caller = api()
    for mail in (None, base64.b64encode(MAIL).decode()):
        answer = caller("POST", "/explain", asked(mail=mail))
        assert answer.status_code == 200, answer.content
        (one,) = answer.json()["recipients"]
        assert one["fate"] == "refused"
        assert {"mode", "on_failure"} <= {name for reason in one["reasons"] for name in reason["settings"]}
    assert caller("POST", "/explain", asked(mail="no base64!")).status_code == 422
    assert caller("POST", "/explain", asked(sender="@")).status_code == 422


def test_an_administrator_of_domains_asks_about_those_alone(api, worker):
    caller = api(Role.DOMAIN_ADMINISTRATOR, domains=("inside.example",))
    assert caller("POST", "/explain", asked()).status_code == 200
    assert caller("POST", "/explain", asked(sender="x@b.example", recipients=["a@inside.example"])).status_code == 200
    for sender, recipients in (
        ("x@b.example", ["x@c.example"]),
        ("x@b.example", ["a@inside.example", "x@c.example"]),
        ("", ["x@c.example"]),
    ):
        assert caller("POST", "/explain", asked(sender=sender, recipients=recipients)).status_code == 403
