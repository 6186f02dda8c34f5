"""The message log over the API."""

from logged import keep, logged
from mailseal.policy.model import Fate
from mailseal.store.accounts.roles import Role


def senders(answer) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [one["sender"] for one in answer.json()["items"]]


def test_rows_are_found_and_say_why(api):
    keep(logged(1, "a@one.test", "b@two.test"), logged(2, "c@one.test", "b@two.test", Fate.REFUSED))
    caller = api()
    assert senders(caller("GET", "/log?party=two.test")) == ["c@one.test", "a@one.test"]
    assert senders(caller("GET", "/log?fate=refused&recipient=two.test")) == ["c@one.test"]
    first = caller("GET", "/log?limit=1").json()
    assert senders(caller("GET", f"/log?limit=1&after={first['next']}")) == ["a@one.test"]
    assert {"code", "parameters", "settings", "text"} == set(first["items"][0]["reasons"][0])
    assert senders(caller("GET", "/log?until=2001-01-01T00:00:00Z")) == []
    for wrong in ("fate=lost", "since=2026-01-01", "since=0001-01-01T00:00:00Z", "sender=%40", "senders=x"):
        assert caller("GET", f"/log?{wrong}").status_code == 422, wrong


def test_an_administrator_of_domains_sees_mails_of_those_alone(api):
    keep(logged(1, "a@one.test", "b@two.test"), logged(2, "a@three.test", "b@two.test"))
    caller = api(Role.DOMAIN_ADMINISTRATOR, domains=("one.test",))
    assert senders(caller("GET", "/log")) == ["a@one.test"]
    assert senders(caller("GET", "/log?message=m2")) == []
    assert senders(caller("GET", "/log?sender=three.test")) == []
