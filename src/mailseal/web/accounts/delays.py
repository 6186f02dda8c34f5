"""Delays after failed tries, as errors of forms."""

import logging
import math

from django.core.exceptions import ValidationError
from django.utils.translation import ngettext

from mailseal.store.accounts import lockout

logger = logging.getLogger(__name__)


def require_turn(who: str, place: str) -> None:
    """Raise ValidationError while somebody has to wait. It says the same of an account that does not exist."""
    left = lockout.wait(who, place).total_seconds()
    if left <= 0:
        return
    minutes = math.ceil(left / 60)
    text = ngettext(
        "Too many failed tries. Try again in %(minutes)d minute.",
        "Too many failed tries. Try again in %(minutes)d minutes.",
        minutes,
    )
    raise ValidationError(text % {"minutes": minutes}, code="wait")


def failed(who: str, place: str, what: str) -> None:
    """Count a failed try and log it, without what was typed."""
    logger.warning("a sign-in failed: wrong %s, from %s", what, place)
    lockout.failed(who, place)
