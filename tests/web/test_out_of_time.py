"""Days and times that no calendar has after a sum, or in UTC: never an unexpected failure."""

import pytest

from mailseal.store.accounts.roles import Role


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/audit/?until=9999-12-31", 422),
        ("/audit/?since=0001-01-01&until=9999-12-30", 200),
        ("/audit/export/?until=9999-12-31", 302),
        ("/keys/?after=0001-01-01T00:00:00%2B14:00~0198f1f0-0000-7000-8000-000000000000", 404),
        ("/keys/?after=9999-12-31T23:59:59-14:00~0198f1f0-0000-7000-8000-000000000000", 404),
        ("/keys/?after=0001-01-01T00:00:00%2B00:00~0198f1f0-0000-7000-8000-000000000000", 200),
        ("/mails/?until=9999-12-31T23:59", 200),
        ("/mails/?since=0001-01-01T00:00", 200),
        ("/mails/?since=0001-01-01T00:00&sender=a.example&recipient=b.example", 200),
        ("/mails/?until=9999-12-31T23:59&sender=a.example&recipient=b.example", 200),
    ],
)
def test_a_time_at_the_end_of_time(sign_in, url, status):
    assert sign_in(Role.AUDITOR).get(url).status_code == status
