"""Sessions in the database, what they hold sealed: a second factor that is being set up is in there for a while.

The key of a session is in its row: who can read the database of the web can use it, so no dump or copy has sessions.
"""

import json
from typing import Any

from django.contrib.sessions.backends import db

from mailseal.keys.seal_errors import SealError
from mailseal.web import secrets

PURPOSE = "session"


class SessionStore(db.SessionStore):
    """Django's, with another encoding."""

    def encode(self, session_dict: dict[str, Any]) -> str:
        """As it is stored."""
        return secrets.seal(json.dumps(session_dict, separators=(",", ":")), purpose=PURPOSE)

    def decode(self, session_data: bytes | str) -> dict[str, Any]:
        """What was stored; nothing if it was not sealed by this key."""
        try:
            found = json.loads(secrets.open_sealed(str(session_data), purpose=PURPOSE))
        except (SealError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
