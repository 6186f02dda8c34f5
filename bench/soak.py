"""`make soak`: the kill story at length, the other faults in their long form, property tests with many more examples.

About an hour. Every parameter of the environment wins over the ones here.
"""

import os
import subprocess
import sys

LONG = {
    "MAILSEAL_KILL_MAILS": "10000",
    "MAILSEAL_KILL_RATE": "15",
    "MAILSEAL_KILL_SECONDS": "4",
    "MAILSEAL_KILL_ALL": "1",
    "MAILSEAL_EXAMPLES": "2000",
}
TARGETS = ("tests/e2e/t-11-kill", "tests/unit", "tests/contract", "tests/transport")

status = 0
for target in TARGETS:
    command = [sys.executable, "-m", "pytest", "-q", "-s", target]
    status |= subprocess.run(command, env=LONG | os.environ, check=False).returncode
sys.exit(status)
