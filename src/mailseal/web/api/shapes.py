"""Shapes of what goes in and out: what comes in has no field that we do not know, so that a slip does not pass."""

from pydantic import BaseModel, ConfigDict


class Given(BaseModel):
    """The body of a request."""

    model_config = ConfigDict(extra="forbid")


class Shown(BaseModel):
    """A response, or a part of one."""

    model_config = ConfigDict(frozen=True)
