"""What the supervisor starts a process with, whatever it was started with itself."""

import os
import subprocess
import sys

from mailseal.roles.process import Process, Role

CHILD = "import os; os.write(1, f'{os.umask(0):03o} {os.getpgrp() == os.getpid()} {os.read(0, 1)}'.encode())"


def test_nothing_that_a_role_makes_is_for_others():
    """Whatever the umask of who started the supervisor: other roles pass through the data folder."""
    script = (
        "import os\n"
        "from mailseal.roles.process import Process, Role\n"
        f"process = Process(Role('one', {[sys.executable, '-c', CHILD]!r}))\n"
        "process.start((), os.environ, os.open(os.devnull, os.O_WRONLY))\n"
        "process.running.wait()\n"
    )
    told = subprocess.run([sys.executable, "-c", script], umask=0o022, input=b"typed", capture_output=True, check=True)
    assert told.stdout == b"077 True b''"


def test_what_it_says_is_ready_once_it_has_said_so():
    read_fd, write_fd = os.pipe()
    process = Process(Role("one", ()), status_fd=read_fd)
    try:
        for piece, ready in ((b"rea", False), (b"dy\n", True)):
            os.write(write_fd, piece)
            assert process.read_status()
            assert process.is_ready is ready
        os.close(write_fd)
        assert not process.read_status()
        assert process.is_ready
    finally:
        os.close(read_fd)
