"""The state of the gateway over the API, and what the worker is asked for."""

import json
from uuid import uuid4

from mailseal.roles import console_checks
from mailseal.store import console_jobs, nodes
from mailseal.store.accounts.roles import Role
from mailseal.store.console_jobs import ActionFailed, StillRunning


def test_the_state_is_told(api):
    nodes.beat()
    told = api()("GET", "/health").json()
    assert [(one["name"], one["alive"]) for one in told["nodes"]] == [("mx1", True)]
    assert told["held"]["count"] == 0
    assert api(Role.DOMAIN_ADMINISTRATOR, domains=("a.example",))("GET", "/health").status_code == 403


def test_a_worker_that_is_away_or_busy_is_told(api, monkeypatch):
    caller, job = api(), uuid4()
    for error, status in (
        (ActionFailed("the job worker does not answer", transient=True), 503),
        (ActionFailed("it cannot be done"), 422),
        (StillRunning(job), 202),
    ):

        def fail(*_args, error=error, **_more):
            raise error

        monkeypatch.setattr(console_jobs, "call", fail)
        answer = caller("POST", "/health/checks")
        assert answer.status_code == status
    assert answer.headers["Location"] == f"/api/v1/work/{job}"
    assert caller("GET", f"/work/{job}").status_code == 404


def test_what_the_command_says_is_told(tmp_path, monkeypatch):
    configuration = tmp_path / "mailseal.toml"
    configuration.write_text(f'data_dir = "{tmp_path}"\nhostname = "mx1.example"\n')
    monkeypatch.setenv("MAILSEAL_CONFIG", str(configuration))
    found = console_checks.run_checks(None, {}, b"", None)
    assert any(one["check"] == "configuration" and str(configuration) in one["text"] for one in found)
    assert {one["status"] for one in found} <= {"ok", "warn", "fail"}
    json.dumps(found)
