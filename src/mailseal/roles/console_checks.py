"""What `mailseal check` says, for the console: the command itself, by the user of the job worker."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping

from mailseal.errors import TransientError
from mailseal.store import findings
from mailseal.store.acting import Acting
from mailseal.store.configure import this_node
from mailseal.store.console_jobs import Json
from mailseal.store.jobs import Job
from mailseal.wiring.gateway import Node

CHECK_SECONDS = 45.0
"""Less than the lease of a job."""
MAX_OUTPUT_BYTES = 1 << 20
COMMAND = (sys.executable, "-P", "-m", "mailseal", "check", "--json")
"""Which configuration is meant the environment says: `cli.serve` puts the worker's there."""


class ChecksFailedError(TransientError):
    """The command gave no findings."""


def check_node(_node: Node, job: Job) -> float | None:
    """Have this node look at itself, and keep what it finds. Raises ChecksFailedError, StoreUnavailable."""
    subject = str(job.payload.get("subject", ""))
    if subject != this_node():
        findings.forget(subject)  # taken over from a node that is gone
        return None
    findings.keep(_found())
    return None


def run_checks(node: Node, arguments: Mapping[str, Json], blob: bytes, who: Acting) -> Json:  # noqa: ARG001 -- an Action's
    """`checks` {}: the findings, each {check, status, text, what_to_do}. Raises ChecksFailedError."""
    return _found()


def _found() -> list[dict[str, str]]:
    try:
        done = subprocess.run(  # noqa: S603 -- our own program, and nothing of what was asked
            COMMAND, stdin=subprocess.DEVNULL, capture_output=True, timeout=CHECK_SECONDS, check=False, env=os.environ
        )
    except subprocess.TimeoutExpired:
        raise ChecksFailedError(f"`mailseal check` did not end within {CHECK_SECONDS:.0f} seconds") from None
    try:
        found = json.loads(done.stdout[:MAX_OUTPUT_BYTES])
    except ValueError:
        raise ChecksFailedError(f"`mailseal check` ended with {done.returncode} and said nothing of use") from None
    return [{key: str(one[key]) for key in ("check", "status", "text", "what_to_do")} for one in found]
