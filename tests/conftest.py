"""What all tests share: the Hypothesis profile, and names that stay.

`MAILSEAL_EXAMPLES` sets how many examples a property gets, and makes them new at every run (`make soak`). Without it
the examples are the same at every run: a change is judged by what it changes.
"""

import os

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "mailseal",
    max_examples=int(os.environ.get("MAILSEAL_EXAMPLES", "60")),
    derandomize="MAILSEAL_EXAMPLES" not in os.environ,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],  # the machine is shared; slow is not wrong
)
settings.load_profile("mailseal")

_LONG = 32


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Long texts do not name a test: keys and files are made up anew by each process, and of several that run tests
    together each must know them by the same names.
    """
    return argname if isinstance(val, bytes | str) and len(val) > _LONG else None
