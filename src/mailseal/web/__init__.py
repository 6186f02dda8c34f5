"""What browsers and programs ask over HTTPS: the console and the REST API.

It opens no private key and parses no upload.

`setup(config, secret)` makes Django answer; `mailseal.roles.web_role` serves it.
"""

from mailseal.store import with_libraries  # noqa: F401 -- before what names their tables

# isort: split
from mailseal.web.configuration import hosts, setup

__all__ = ["hosts", "setup"]
