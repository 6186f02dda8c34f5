"""Reasons of decisions, as the log and the simulator give them (`policy.reason`)."""

from pydantic import Field

from mailseal.policy.causes import causes
from mailseal.policy.reason import Reason
from mailseal.policy.text import render
from mailseal.web.api.shapes import Shown


class ReasonShown(Shown):
    """Why something was decided."""

    code: str = Field(description="Of a closed list that only grows.")
    parameters: dict[str, str]
    settings: list[str] = Field(description="Which settings have brought it about, if any.")
    text: str = Field(description="The same in English, for people.")


def reason_shown(reason: Reason) -> ReasonShown:
    """It, with its text."""
    return ReasonShown(
        code=reason.code.value,
        parameters=dict(reason.parameters),
        settings=list(causes(reason)),
        text=render(reason),
    )
