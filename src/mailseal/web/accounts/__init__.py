"""Signing in, one's own account, and the accounts of others: django-allauth, with what it lacks put around it.

allauth has the flows (password, second factor, passkeys, OpenID Connect); its adapters here say how this house does
them. Only the URLs that are listed in `urls` exist: nobody signs up, nobody gets a password by mail.
"""
