"""The tables of submission logins and of what each may write as its sender (RFC 6409, RFC 4954), see models."""

from django.db import models
from django.db.models import CASCADE, UniqueConstraint

from mailseal.store.row import OWNER_CHARS, Row, utc_now

LOGIN_CHARS = 128
PHC_CHARS = 255


class LoginRow(Row):
    """A login of a user who hands in mail. `password` is a PHC string of Argon2id (RFC 9106), never the password."""

    name = models.CharField(max_length=LOGIN_CHARS, unique=True)
    password = models.CharField(max_length=PHC_CHARS)
    enabled = models.BooleanField(default=True)
    created = models.DateTimeField(default=utc_now)

    class Meta:
        db_table = "store_login"


class LoginUseRow(Row):
    """What a login may use as envelope sender: `owner` is an address key, a domain or a wildcard."""

    login = models.ForeignKey(LoginRow, CASCADE, related_name="uses")
    owner = models.CharField(max_length=OWNER_CHARS)

    class Meta:
        db_table = "store_login_use"
        constraints = (UniqueConstraint(fields=("owner", "login"), name="store_login_use_once"),)
