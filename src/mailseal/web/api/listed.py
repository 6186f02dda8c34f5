"""Closed lists whose names are taken: in the description, shapes are told apart by their bare names alone."""

from enum import StrEnum
from typing import Annotated

from pydantic import WithJsonSchema

from mailseal.policy.notice_kind import Role
from mailseal.postfix.tls_policy import Level
from mailseal.store.quarantine_actions import Way


def _in_place(kind: type[StrEnum], description: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "enum": [one.value for one in kind], "description": description})


TlsLevel = Annotated[Level, _in_place(Level, "How TLS is asked for.")]
ReaderRole = Annotated[Role, _in_place(Role, "Why somebody is told.")]
ReleaseWay = Annotated[Way, _in_place(Way, "How a mail is released.")]
