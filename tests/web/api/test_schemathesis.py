"""Every operation is asked what its description allows, and what it does not; no answer is another than described."""

import os
from datetime import UTC, datetime, timedelta
from shutil import copyfile

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS, load_all_checks

from mailseal.config.load import from_values
from mailseal.keys.web_key import WebKey
from mailseal.mail.address import Address
from mailseal.store import addresses, domains, logins, overrides, routes
from mailseal.store.accounts import tokens
from mailseal.store.accounts.models import Account
from mailseal.store.accounts.roles import Role
from mailseal.store.configure import use
from mailseal.web import secrets, setup
from mailseal.web.api.application import api as application

EXAMPLES = int(os.environ.get("MAILSEAL_API_EXAMPLES", "2"))
"""Of each operation and mode. With the variable those at the bounds of what is described, too: some minutes."""
THOROUGH = "MAILSEAL_API_EXAMPLES" in os.environ

load_all_checks()


def answer(environ, start_response):
    """The web as it is set up now."""
    return WSGIHandler()(environ, start_response)


SCHEMA = schemathesis.openapi.from_dict(application.get_openapi_schema(path_prefix="/api/v1/"))
SCHEMA.app = answer
SCHEMA.config.phases.coverage.enabled = THOROUGH
AS_DESCRIBED = CHECKS.get_by_names(
    [
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "unsupported_method",
        "ignored_auth",
    ]
)


@pytest.fixture(scope="module")
def secret(empty_database, tmp_path_factory):
    """Of an administrator, with something there of most kinds. The operations share a database."""
    folder = tmp_path_factory.mktemp("schemathesis")
    copyfile(empty_database, folder / "mailseal.db")
    use(f"sqlite://{folder / 'mailseal.db'}", node="mx1")
    secrets.hold(WebKey(bytes(32)))
    setup(from_values({"data_dir": str(folder), "hostname": "localhost"}), secrets.django_secret())
    domains.add("a.example")
    addresses.add(Address.parse("x@a.example"))
    overrides.set_override("a.example", "smime", "no")
    routes.set_route("a.example", ["smtp://hop.example:25"])
    logins.add("alice", "$argon2id$none", ["x@a.example"])
    account = Account.objects.create(email="administrator@inside.example", roles=[Role.ADMINISTRATOR.value])
    yield tokens.make(account.pk, "test", None, datetime.now(UTC) + timedelta(hours=1))[1]
    secrets.hold(None)
    connections.close_all()


def never_a_failure(_context, response, case):
    """503 is for what needs the worker, which these tests have not."""
    if response.status_code >= 500 and response.status_code != 503:
        raise AssertionError(f"{case.method} {case.path}: {response.status_code} {response.content[:500]!r}")


@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
def test_every_operation_is_as_described(case, secret):
    case.call_and_validate(
        base_url="http://localhost",
        headers={"Authorization": f"Bearer {secret}", "Host": "localhost"},
        checks=[never_a_failure, *AS_DESCRIBED],
    )
