"""What `mailseal check` said of a node, see models."""

from django.db import models

from mailseal.store.row import Row, utc_now

NODE_CHARS = 64


class FindingsRow(Row):
    """The last findings of a node: a list of {"check", "status", "text", "what_to_do"}."""

    node = models.CharField(max_length=NODE_CHARS, unique=True)
    at = models.DateTimeField(default=utc_now)
    findings = models.JSONField(default=list)

    class Meta:
        db_table = "store_findings"
