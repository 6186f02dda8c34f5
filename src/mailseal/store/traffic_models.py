"""How much mail went which way, see models."""

from django.db import models
from django.db.models import UniqueConstraint

from mailseal.store.row import Row

NODE_CHARS = 64


class TrafficRow(Row):
    """How many copies of one hour a node has logged with this fate, treatment and method.

    Rows of a node are written by its worker alone, so nodes never collide; its threads may.
    """

    node = models.CharField(max_length=NODE_CHARS)
    hour = models.DateTimeField()
    direction = models.CharField(max_length=8)
    fate = models.CharField(max_length=16)
    treatment = models.CharField(max_length=16)
    method = models.CharField(max_length=16)
    copies = models.BigIntegerField()

    class Meta:
        db_table = "store_traffic"
        constraints = (
            UniqueConstraint(
                fields=("hour", "node", "direction", "fate", "treatment", "method"), name="store_traffic_once"
            ),
        )
