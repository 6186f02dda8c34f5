"""What all tests share: the Hypothesis profile. `MAILSEAL_EXAMPLES` sets how many examples a property gets."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "mailseal",
    max_examples=int(os.environ.get("MAILSEAL_EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],  # the machine is shared; slow is not wrong
)
settings.load_profile("mailseal")
