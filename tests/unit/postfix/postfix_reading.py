"""How Postfix reads a line of its TLS policy table (TLS_README, "Client TLS security levels"), told anew for the tests.

What it would refuse, and defer the mail for, raises ValueError.
"""

import re
from dataclasses import dataclass, field

LEVELS = ("none", "may", "encrypt", "dane", "dane-only", "fingerprint", "verify", "secure")
SEPARATORS = re.compile(r"[,\t\r\n ]+")


@dataclass
class Read:
    level: str
    match: list[str] = field(default_factory=list)
    others: dict[str, str] = field(default_factory=dict)


def read(line: str) -> Read:
    level, *attributes = SEPARATORS.split(line)
    if level not in LEVELS:
        raise ValueError(level)
    found = Read(level)
    for one in attributes:
        name, equals, value = one.partition("=")
        if level == "none" or not equals or not value or "{" in one or "}" in one or name in found.others:
            raise ValueError(one)
        if name == "match":
            if level not in ("fingerprint", "verify", "secure"):
                raise ValueError(one)
            found.match += value.split("|" if level == "fingerprint" else ":")
        elif name in ("servername", "protocols") or (name == "tafile" and level in ("verify", "secure")):
            found.others[name] = value
        else:
            raise ValueError(one)
    return found
