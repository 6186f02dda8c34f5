"""`make soak`: the kill story at length, and the property tests with many more examples."""

import os
import subprocess
import sys

KILL_MAILS = os.environ.get("MAILSEAL_KILL_MAILS", "1000")
EXAMPLES = os.environ.get("MAILSEAL_EXAMPLES", "2000")
TARGETS = ("tests/e2e/t-11-kill", "tests/unit", "tests/contract", "tests/transport")

environ = {**os.environ, "MAILSEAL_KILL_MAILS": KILL_MAILS, "MAILSEAL_EXAMPLES": EXAMPLES}
sys.exit(subprocess.run([sys.executable, "-m", "pytest", "-q", *TARGETS], env=environ, check=False).returncode)
