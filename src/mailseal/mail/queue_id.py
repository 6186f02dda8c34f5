"""Queue IDs: the names that an MTA has for a mail while it keeps it (Postfix: postconf(5), enable_long_queue_ids)."""

import re

MAX_CHARS = 64

_QUEUE_ID = re.compile("[0-9A-Za-z]{5,32}")
_QUEUED_AS = re.compile(r"\bqueued as ([0-9A-Za-z][0-9A-Za-z_-]{0,63})(?![0-9A-Za-z_-])", re.IGNORECASE)


def is_queue_id(text: str) -> bool:
    """Whether it looks like one of Postfix's; everything that its commands would take for more than a name does not."""
    return _QUEUE_ID.fullmatch(text) is not None and text != "ALL"


def queued_as(reply_text: str) -> str:
    """What an MTA says to have queued a mail as, by the text of its 250; "" if it does not."""
    found = _QUEUED_AS.search(reply_text)
    return found[1] if found else ""
