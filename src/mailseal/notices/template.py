"""Templates of notices: a small part of the Liquid language, with limits, checked before they are used.

Of python-liquid only what is named here is known: no other tag or filter, no loader, so no other template and no file;
no assignment, so nothing grows; no range, so no loop is longer than a list of ours. Values are texts, numbers, lists
and dictionaries: nothing has attributes.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any, ClassVar

from liquid import BoundTemplate, Environment, StrictUndefined
from liquid.builtin import content, illegal, output
from liquid.builtin.filters import array, misc, string
from liquid.builtin.tags import comment_tag, for_tag, if_tag, unless_tag
from liquid.exceptions import LiquidError

from mailseal.notices.errors import TemplateError
from mailseal.notices.kinds import Variable

MAX_TEMPLATE_CHARS = 16_384
MAX_MARKS = 400
"""Tags and outputs in a template."""
MAX_MARK_CHARS = 300
MAX_OUTPUT_BYTES = 256 * 1024
MAX_NESTING = 10
MAX_ITERATIONS = 5000
"""Of nested loops multiplied."""

TAGS = (if_tag.IfTag, unless_tag.UnlessTag, for_tag.ForTag, comment_tag.CommentTag)
FILTERS: Mapping[str, Any] = {
    "default": misc.default,
    "size": misc.size,
    "join": array.join,
    "first": array.first,
    "last": array.last,
    "capitalize": string.capitalize,
    "upcase": string.upcase,
    "downcase": string.downcase,
}


_MARK = re.compile(r"\{[{%]")
_CLOSED_BY = {"{{": "}}", "{%": "%}"}
_MANY_BLANKS = re.compile(r"\s{20}")


class Part(StrEnum):
    """The parts of a notice, each a template. `HTML` may be empty: then there is no such part."""

    SUBJECT = "subject"
    TEXT = "text"
    HTML = "html"


class _Liquid(Environment):
    """What our templates know of the language."""

    block_nesting_limit: ClassVar[int] = MAX_NESTING
    context_depth_limit: ClassVar[int] = 2 * MAX_NESTING
    loop_iteration_limit: ClassVar[int | None] = MAX_ITERATIONS
    output_stream_limit: ClassVar[int | None] = MAX_OUTPUT_BYTES
    local_namespace_limit: ClassVar[int | None] = 1

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:  # noqa: ARG002 -- the library's signature
        for tag in (content.Literal, output.Output, illegal.Illegal, *TAGS):
            self.add_tag(tag)
        for name, function in FILTERS.items():
            self.add_filter(name, function)


_PLAIN = _Liquid(undefined=StrictUndefined)
_ESCAPED = _Liquid(undefined=StrictUndefined, autoescape=True)


class Template:
    """A template of one part that was compiled; its variables are not known to be right before `check`."""

    def __init__(self, part: Part, source: str) -> None:
        """Raises TemplateError."""
        self.part = part
        if len(source) > MAX_TEMPLATE_CHARS:
            raise TemplateError(f"is longer than {MAX_TEMPLATE_CHARS} characters", part=part)
        if "\0" in source or source.encode(errors="replace").decode() != source:
            raise TemplateError("has characters that are none", part=part)
        _look_over(source, part)
        environment = _ESCAPED if part is Part.HTML else _PLAIN
        try:
            self.compiled: BoundTemplate = environment.from_string(source)
        except LiquidError as error:
            raise _told(error, part) from None

    def render(self, values: Mapping[str, object]) -> str:
        """The text; raises TemplateError where it uses what there is not, or goes beyond a limit."""
        try:
            return self.compiled.render(values)
        except LiquidError as error:
            raise _told(error, self.part) from None
        except Exception as error:  # noqa: BLE001 -- whatever the library trips over, the mail of the shipped one goes
            raise TemplateError(f"cannot be rendered ({type(error).__name__})", part=self.part) from None


def _look_over(source: str, part: Part) -> None:
    """Refuse what takes the library's lexer long: it tries each blank of a tag as its beginning, to its end."""
    marks, position = 0, 0
    while (mark := _MARK.search(source, position)) is not None:
        line = source.count("\n", 0, mark.start()) + 1
        end = source.find(_CLOSED_BY[mark[0]], mark.end(), mark.end() + MAX_MARK_CHARS)
        if end < 0:
            raise TemplateError(f"{mark[0]} is not closed within {MAX_MARK_CHARS} characters", part=part, line=line)
        if _MANY_BLANKS.search(source, mark.end(), end):
            raise TemplateError("a tag has that many blanks in a row", part=part, line=line)
        marks, position = marks + 1, end + 2
    if marks > MAX_MARKS:
        raise TemplateError(f"has more than {MAX_MARKS} tags and outputs", part=part)


@lru_cache(maxsize=512)
def compiled(part: Part, source: str) -> Template:
    """As Template, each once; raises TemplateError."""
    return Template(part, source)


def line_of(token: Any) -> int:
    """The line of a token, 1 for the first; 0 if unknown."""
    if token is None or not 0 <= token.start_index <= len(token.source):
        return 0
    return int(token.source.count("\n", 0, token.start_index)) + 1


def _told(error: LiquidError, part: Part) -> TemplateError:
    # Not str(error): the library shows the place in the source, and fails at its end.
    return TemplateError(str(error.message or type(error).__name__), part=part, line=line_of(error.token))


Known = Mapping[str, Variable]
