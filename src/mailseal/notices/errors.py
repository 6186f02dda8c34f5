"""What is wrong with a template, for the person who wrote it."""

from mailseal.errors import PermanentError


class TemplateError(PermanentError):
    """A template cannot be used. `part`: subject, text or html; `line`: where, 0 if it concerns all of it."""

    def __init__(self, problem: str, *, part: str = "", line: int = 0) -> None:
        self.problem, self.part, self.line = problem, part, line
        place = " ".join(one for one in (part, f"line {line}" if line else "") if one)
        super().__init__(f"{place}: {problem}" if place else problem)


class CatalogueError(PermanentError):
    """A file of a language cannot be read or lacks something."""
