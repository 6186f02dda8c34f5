"""The tables of DLP patterns, of groups of them, and of what they are assigned to, see models."""

from django.db import models
from django.db.models import CASCADE, UniqueConstraint

from mailseal.store.row import OWNER_CHARS, Row, utc_now

NAME_CHARS = 100


class DlpPatternRow(Row):
    """A pattern: what `policy.dlp.model.Pattern` holds. `key` is the name in the form by which names are compared.

    `owner`: the domain whose administrators look after it, and whose mail alone it can be assigned to; "" is
    everybody's. `revision` is one more after each change of any field that `Pattern` has.
    """

    key = models.CharField(max_length=NAME_CHARS, unique=True)
    name = models.CharField(max_length=NAME_CHARS)
    owner = models.CharField(max_length=OWNER_CHARS, default="")
    revision = models.BigIntegerField(default=1)
    kind = models.CharField(max_length=16)
    text = models.TextField()
    validator = models.CharField(max_length=32, default="")
    threshold = models.IntegerField(default=1)
    action = models.CharField(max_length=16)
    delayed = models.BooleanField(default=False)
    mask = models.CharField(max_length=16)
    description = models.TextField(default="")
    created = models.DateTimeField(default=utc_now)
    changed = models.DateTimeField(default=utc_now)

    class Meta:
        db_table = "store_dlp_pattern"


class DlpGroupRow(Row):
    """Patterns that are assigned together. `key` and `owner` as of patterns."""

    key = models.CharField(max_length=NAME_CHARS, unique=True)
    name = models.CharField(max_length=NAME_CHARS)
    owner = models.CharField(max_length=OWNER_CHARS, default="")
    description = models.TextField(default="")
    created = models.DateTimeField(default=utc_now)

    class Meta:
        db_table = "store_dlp_group"


class DlpMemberRow(Row):
    """A pattern of a group."""

    group = models.ForeignKey(DlpGroupRow, CASCADE, related_name="members", db_index=False)
    pattern = models.ForeignKey(DlpPatternRow, CASCADE, related_name="memberships")

    class Meta:
        db_table = "store_dlp_member"
        constraints = (UniqueConstraint(fields=("group", "pattern"), name="store_dlp_member_once"),)


class DlpAssignmentRow(Row):
    """That a pattern, or all of a group (one of the two), is looked for in mail of an owner.

    `owner`: "" all mail, `*.x` wildcard, `x` domain, an address key.
    """

    owner = models.CharField(max_length=OWNER_CHARS)
    pattern = models.ForeignKey(DlpPatternRow, CASCADE, null=True, related_name="assignments")
    group = models.ForeignKey(DlpGroupRow, CASCADE, null=True, related_name="assignments")
    created = models.DateTimeField(default=utc_now)

    class Meta:
        db_table = "store_dlp_assignment"
        constraints = (
            UniqueConstraint(fields=("owner", "pattern"), name="store_dlp_assignment_once"),
            UniqueConstraint(fields=("owner", "group"), name="store_dlp_assignment_group_once"),
        )
