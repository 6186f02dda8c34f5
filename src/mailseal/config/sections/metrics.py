"""[metrics]"""

from dataclasses import dataclass

from mailseal.config import values
from mailseal.config.key import key
from mailseal.config.values import BadValueError, Endpoint


def _place(raw: object) -> Endpoint | None:
    place = values.optional_endpoint(raw)
    if place is not None and place.path is not None:
        raise BadValueError('must be host:port, or "off"')
    return place


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Numbers for Prometheus and a health check: see `metrics.md`. No address, domain or subject is ever in them."""

    listen: Endpoint | None = key(
        _place,
        'Where http://host:port/metrics and /healthz answer, or "off". There is no login.',
        example='"127.0.0.1:9464"',
        default=None,
        default_text='"off"',
    )
    remote: bool = key(
        values.flag,
        "Whether `listen` may be an address that other machines can reach.",
        example="true",
        default=False,
    )
