"""The one error of the CMS engine, and the fence that keeps every other one in."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from cryptography.exceptions import InternalError, UnsupportedAlgorithm

from mailseal.errors import PermanentError
from mailseal.policy.reason import ReasonCode

P = ParamSpec("P")
R = TypeVar("R")

_LEAKS = (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError, InternalError)


class CmsError(PermanentError):
    """A CMS structure that cannot be made, read, opened or checked; `reason` says why."""

    def __init__(self, reason: ReasonCode, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def malformed(text: str) -> CmsError:
    """Shorthand for the commonest one."""
    return CmsError(ReasonCode.MALFORMED, text)


def only_cms_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Turn what hostile octets provoke in libraries into CmsError. A TransientError of a key passes unchanged."""

    @wraps(function)
    def fenced(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except UnsupportedAlgorithm as error:
            raise CmsError(ReasonCode.UNSUPPORTED_ALGORITHM, "algorithm is not supported") from error
        except _LEAKS as error:
            raise malformed("malformed CMS structure") from error

    return fenced
