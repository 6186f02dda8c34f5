"""Who gives a command: the login behind sudo, else the user of the session. Never a name that was typed.

It is worth what the machine's accounts are worth: whoever is root, or the owner of the data folder, can be anybody
(docs/quarantine.md). Asked before `Session.open_store`, where root becomes the owner.
"""

import os
import pwd
from pathlib import Path

from mailseal.store.actor import Actor

_LOGIN_UID = Path("/proc/self/loginuid")
_NO_LOGIN = 2**32 - 1


def caller() -> Actor:
    """The person at the keyboard, by the name of the account: nodes of a cluster may number them differently."""
    behind_sudo = os.environ.get("SUDO_UID", "")
    uid = int(behind_sudo) if behind_sudo.isascii() and behind_sudo.isdigit() else _login_uid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return Actor(f"uid:{uid}", f"user {uid}")
    return Actor(key_of(name), name)


def key_of(account: str) -> str:
    """By what the actions of an account are found; "uid:1234" is one without a name."""
    return account if account.startswith("uid:") else f"user:{account}"


def _login_uid() -> int:
    """Who has logged in, of which the kernel knows even behind su; else as whom this runs."""
    try:
        uid = int(_LOGIN_UID.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return os.getuid()
    return os.getuid() if uid == _NO_LOGIN else uid
