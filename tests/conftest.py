"""What all tests share: the Hypothesis profile.

`MAILSEAL_EXAMPLES` sets how many examples a property gets, and makes them new at every run (`make soak`). Without it
the examples are the same at every run: a change is judged by what it changes.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "mailseal",
    max_examples=int(os.environ.get("MAILSEAL_EXAMPLES", "60")),
    derandomize="MAILSEAL_EXAMPLES" not in os.environ,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],  # the machine is shared; slow is not wrong
)
settings.load_profile("mailseal")
