"""Secrets that are shown once and kept as their SHA-256: they have 256 bits, so nothing slower than that is needed."""

import hashlib
import secrets

SECRET_BYTES = 32
DIGEST_CHARS = 64
MAX_SECRET_CHARS = 200
"""What is longer is none of ours, and is not hashed."""


def new_secret(prefix: str) -> str:
    """A new one in URL-safe characters; the prefix lets scanners of repositories find one that leaked."""
    return prefix + secrets.token_urlsafe(SECRET_BYTES)


def digest(secret: str) -> str:
    """By what it is found."""
    return hashlib.sha256(secret[:MAX_SECRET_CHARS].encode("utf-8", "replace")).hexdigest()
