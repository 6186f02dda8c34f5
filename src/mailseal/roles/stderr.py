"""Standard error, without waiting for whoever reads it; standard library only.

A collector that hangs leaves its pipe full. Writing would then wait for it, and with it the mail or the supervisor that
has something to say (pwritev2(2), RWF_NOWAIT: for pipes and sockets since Linux 6.4; else poll(2) asks before).
"""

import errno
import os
import select
import sys

DESCRIPTOR = 2


def put(octets: bytes) -> int:
    """Write what there is room for, of a line up to PIPE_BUF all or nothing; how much that was.

    Raises BlockingIOError when there is no room, OSError.
    """
    if sys.stderr is None:  # was closed when Python began, so the number may be of something else
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    try:
        return os.pwritev(DESCRIPTOR, [octets], -1, os.RWF_NOWAIT)
    except OSError as error:
        if error.errno not in {errno.ENOTSUP, errno.EINVAL}:
            raise
    room = select.poll()
    room.register(DESCRIPTOR, select.POLLOUT)
    if not room.poll(0):
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return os.write(DESCRIPTOR, octets)
