"""How a role that handles mail or jobs begins: database, KEK and relay."""

from mailseal.config import Config
from mailseal.roles.child import Inheritance
from mailseal.roles.store_wait import wait_for_store
from mailseal.wiring.gateway import Node, open_node


def open_when_possible(config: Config, inheritance: Inheritance) -> Node:
    """Database, KEK and relay of a role; raises NotMigratedError and other MailsealErrors.

    A database that does not answer is waited for, as long as the supervisor lives.
    """
    wait_for_store(config, inheritance)
    return open_node(config)
