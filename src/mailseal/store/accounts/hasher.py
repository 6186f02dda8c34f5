"""How Django keeps the passwords of accounts: as everywhere here, by Argon2id (see `keys.password_hash`)."""

import threading
from typing import Any

from django.contrib.auth.hashers import BasePasswordHasher

from mailseal.errors import MailsealError
from mailseal.keys.password_hash import hash_password, verify_password

AT_THE_SAME_TIME = 2
"""Each takes 64 MiB and a core for a quarter of a second: who tries many passwords waits, the rest goes on."""
_turns = threading.BoundedSemaphore(AT_THE_SAME_TIME)


class Argon2idHasher(BasePasswordHasher):
    """`argon2id` and the PHC string."""

    algorithm = "argon2id"

    def encode(self, password: str, salt: str) -> str:  # noqa: ARG002 -- Django's signature; each gets a salt of its own
        """What is kept of a password."""
        with _turns:
            return self.algorithm + hash_password(password.encode("utf-8", "replace"))

    def verify(self, password: str, encoded: str) -> bool:
        """Whether it is this password."""
        try:
            with _turns:
                verify_password(password.encode("utf-8", "replace"), encoded.removeprefix(self.algorithm))
        except MailsealError:
            return False
        return True

    def safe_summary(self, encoded: str) -> dict[Any, Any]:  # noqa: ARG002 -- Django's signature
        """Nothing of it."""
        return {}

    def must_update(self, encoded: str) -> bool:  # noqa: ARG002 -- Django's signature
        """There is one cost so far."""
        return False

    def harden_runtime(self, password: str, encoded: str) -> None:
        """There is nothing that costs less."""
