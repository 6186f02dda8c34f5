"""Mailseal: an email encryption gateway."""

__version__ = "0.1.0"
