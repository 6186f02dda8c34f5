"""Postfix's own configuration, rendered from ours; and a private instance of it."""
