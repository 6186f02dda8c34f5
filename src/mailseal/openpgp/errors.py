"""The one error of the OpenPGP engine, and the fence that keeps every other one in."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from cryptography.exceptions import InternalError, UnsupportedAlgorithm

from mailseal.errors import PermanentError
from mailseal.policy.reason import ReasonCode

P = ParamSpec("P")
R = TypeVar("R")

_LEAKS = (ValueError, TypeError, KeyError, IndexError, ArithmeticError, RecursionError, InternalError)


class PgpError(PermanentError):
    """An OpenPGP structure that cannot be made, read, opened or checked; `reason` says why."""

    def __init__(self, reason: ReasonCode, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def malformed(text: str) -> PgpError:
    """Shorthand for the commonest one."""
    return PgpError(ReasonCode.MALFORMED, text)


def unsupported(text: str) -> PgpError:
    """Shorthand for an algorithm or a version that we do not have."""
    return PgpError(ReasonCode.UNSUPPORTED_ALGORITHM, text)


def only_pgp_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Turn what hostile octets provoke in libraries into PgpError. A TransientError of a key passes unchanged."""

    @wraps(function)
    def fenced(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except UnsupportedAlgorithm as error:
            raise unsupported("algorithm is not supported") from error
        except _LEAKS as error:
            raise malformed("malformed OpenPGP structure") from error

    return fenced
