"""What the worker does for the console: whatever it is asked, nothing but errors of ours comes of it."""

from itertools import product

from mailseal.errors import MailsealError
from mailseal.roles.console_work import ACTIONS
from mailseal.store.acting import ITSELF

NOT_HERE = {"checks"}  # runs the command `check`, see its own tests
WRONG = (None, 7, True, "", "\0", "x" * 5000, "a@b", [], [7], "\ud800", ["\ud800"], {}, {"a": 1})
NAMES = (
    "address", "after", "all", "as", "by", "destination", "domain", "domains", "draft", "drafts", "expires",
    "fingerprints", "id", "ids", "key", "kind", "language", "level", "limit", "match", "name", "origin", "owner",
    "part", "password", "patterns", "queue", "reason", "recipients", "role", "selector", "sender", "text", "use",
    "user_id", "user_ids", "verb",
)  # fmt: skip
BLOBS = (b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\x30\x82\xff\xff" * 64)


def test_what_makes_no_sense_is_an_error_of_ours(worker):
    asked = [{}]
    for value in WRONG:
        arguments = dict.fromkeys(NAMES, value)
        asked += [arguments, arguments | {"domains": None}]
    for name, arguments, blob in product(sorted(ACTIONS.keys() - NOT_HERE), asked, BLOBS):
        try:
            ACTIONS[name](worker, arguments, blob, ITSELF)
        except MailsealError:
            pass
        except Exception as error:
            raise AssertionError((name, arguments.get("name"), blob[:20])) from error
