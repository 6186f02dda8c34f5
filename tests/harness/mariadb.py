"""A private MariaDB for tests: own folder, own UNIX socket, no network, nothing of the system's touched."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pymysql

from harness.folder import short_folder
from harness.waiting import wait_until

_FAST = (
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-file-size=8M",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-flush-method=nosync",
    "--skip-log-bin",
    "--skip-name-resolve",
    "--skip-networking",
    "--performance-schema=0",
)


def installed() -> bool:
    return _program("mariadbd") is not None and _program("mariadb-install-db") is not None


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class MariaDb:
    """`url` names a fresh, empty database. `kill` is kill -9; `start` starts it again on the same data."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self.folder = self._stack.enter_context(short_folder("mariadb"))
        self.socket = self.folder / "socket"
        self._process: subprocess.Popen | None = None
        self._user: list[str] = []
        if os.geteuid() == 0:
            # mariadbd refuses to run as root, and should not.
            owner = next(name for name in ("mysql", "nobody") if _exists(name))
            os.chown(self.folder, pwd.getpwnam(owner).pw_uid, -1)
            self._user = [f"--user={owner}"]
        subprocess.run(
            [
                _program("mariadb-install-db"), "--no-defaults", f"--datadir={self.folder / 'data'}", *self._user,
                "--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-log-file-size=8M",
            ],
            check=True, capture_output=True,
        )  # fmt: skip
        self.start()
        with self.connect() as connection, connection.cursor() as cursor:
            # A collation that takes many letters for the same: `migrate` must change it.
            cursor.execute("CREATE DATABASE mailseal CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
            cursor.execute("CREATE USER mailseal@localhost IDENTIFIED BY 'made up'")
            cursor.execute("GRANT ALL ON mailseal.* TO mailseal@localhost")

    @property
    def url(self) -> str:
        return f"mysql://mailseal@/mailseal?unix_socket={self.socket}"

    password = "made up"

    def connect(self, **parameters) -> pymysql.Connection:
        return pymysql.connect(unix_socket=str(self.socket), user="root", autocommit=True, **parameters)

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    _program("mariadbd"), "--no-defaults", f"--datadir={self.folder / 'data'}",
                    f"--socket={self.socket}", f"--pid-file={self.folder / 'pid'}", *self._user, *_FAST,
                ],
                stdout=log, stderr=log,
            )  # fmt: skip
        wait_until(self._answers, self._log, every=0.05)

    def _answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.socket))
            self.connect().close()
        except (OSError, pymysql.err.OperationalError):
            assert self._process.poll() is None, self._log()
            return False
        return True

    def _log(self) -> str:
        return (self.folder / "log").read_text()[-3000:]

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """As a machine that swaps, or a network that swallows packets. On a busy machine its threads stop late."""
        self._process.send_signal(signal.SIGSTOP)
        threads = Path(f"/proc/{self._process.pid}/task")
        wait_until(lambda: all(_state(one) == "T" for one in threads.iterdir()))

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
        self._stack.close()


def _state(process: Path) -> str:
    return (process / "stat").read_text().rpartition(")")[2].split()[0]


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
