"""The roles of a node as a table: what each runs, listens on, is the user of and is told; standard library only."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mailseal.config import (
    AUTH,
    MAIL_SOCKETS,
    METRICS,
    QUEUE,
    SANDBOX,
    SOCKETMAP,
    WEB,
    WEB_PLAIN,
    Config,
    Instance,
)
from mailseal.config.load import secret_variables
from mailseal.roles import notify
from mailseal.roles.child import ACTIVATION_VARIABLES
from mailseal.roles.generation import Roles
from mailseal.roles.process import Role
from mailseal.roles.web_folders import shared_with_web

_OURS = notify.VARIABLES | ACTIVATION_VARIABLES
"""What the service manager tells this process; the roles have nothing to do with it."""
_FOR_KEEPERS = secret_variables(of_web=False) | {"CREDENTIALS_DIRECTORY"}
"""What a role that opens no key and no database is not told."""
_FOR_WEB = secret_variables(of_web=True)
"""What the web role alone is told."""


def node_roles(path: Path | None) -> Roles:
    """The roles of a node: N mail workers, one job worker, who reads documents, and what else is on."""
    given = ["--config", str(path)] if path else []
    base = [sys.executable, "-P", "-m", "mailseal", *given]
    # Root's own: nothing but the standard library.
    queue_base = [sys.executable, "-P", "-m", "mailseal.roles.queue_role"]
    postfix_base = [sys.executable, "-P", "-m", "mailseal.roles.postfix_role"]
    sandbox_base = [sys.executable, "-P", "-m", "mailseal.roles.sandbox_role"]

    def roles(config: Config) -> Sequence[Role]:
        users = config.users
        mail = [
            Role(f"mail {n}", [*base, "mail", "--worker", str(n)], MAIL_SOCKETS, users.mail)
            for n in range(1, config.workers + 1)
        ]
        worker = Role("worker", [*base, "worker"], user=users.worker)
        sandbox = Role("sandbox", [*sandbox_base, *given], [SANDBOX], users.sandbox, keyless=True)
        metrics = Role("metrics", [*base, "metrics"], [METRICS], users.metrics, reads=config.metrics_dir)
        maps = Role("maps", [*base, "maps"], [SOCKETMAP, AUTH])
        web = Role("web", [*base, "web"], [WEB, WEB_PLAIN], users.web, shares=shared_with_web(config))
        queue = Role("queue", [*queue_base, *given], [QUEUE], privileged=True)
        postfix = Role("postfix", [*postfix_base, *given], privileged=True, in_place=True)
        others = (
            (metrics, config.metrics.listen is not None),
            (maps, config.postfix.instance is not Instance.OFF),
            (web, config.web.listen is not None),
            (queue, _has_queue(config)),
            (postfix, config.postfix.instance is Instance.PRIVATE),
        )
        return [*mail, worker, sandbox, *(role for role, wanted in others if wanted)]

    return roles


def hidden_from(role: Role) -> frozenset[str]:
    """The environment variables that a role is not told: the service manager's, and secrets of others."""
    opens_keys = not role.apart and not role.privileged
    return _OURS | (frozenset() if opens_keys else _FOR_KEEPERS) | (frozenset() if WEB in role.listens else _FOR_WEB)


def _has_queue(config: Config) -> bool:
    """Whether there is a queue to look after, and root to do it."""
    return config.postfix.instance is not Instance.OFF and os.geteuid() == 0
