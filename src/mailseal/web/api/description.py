"""The description of the API (OpenAPI 3.1): what each operation needs, and that any of them may fail with a problem."""

from collections.abc import Iterator, Mapping
from typing import Any

from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation

from mailseal.web.access import Area, Verb
from mailseal.web.api.authentication import BearerToken
from mailseal.web.api.problem import MEDIA_TYPE, ProblemShown

REF = "#/components/schemas/"
Json = dict[str, Any]


class Description(OpenAPISchema):
    """Ninja's, in which two shapes of one name do not take each other's place."""

    def get_components(self) -> Json:
        """All shapes, and that of a problem."""
        problem = ProblemShown.model_json_schema(ref_template=f"{REF}{{model}}")
        self.schemas.update(problem.pop("$defs"), Problem=problem)
        components: Json = super().get_components()
        return components

    def operation_details(self, operation: Operation) -> Json:
        """As Ninja describes it; a name that another operation has given to another shape begins with the area."""
        known, self.schemas = self.schemas, {}
        details: Json = super().operation_details(operation)
        own, self.schemas = self.schemas, known
        prefix = "".join(word.capitalize() for tag in operation.tags or () for word in _words(tag))
        names = {name: f"{prefix}{name}" for name in _taken(own, known)}
        self.schemas.update({names.get(name, name): _renamed(shape, names) for name, shape in own.items()})
        details = _renamed(details, names)
        problem = {MEDIA_TYPE: {"schema": {"$ref": f"{REF}Problem"}}}
        details["responses"]["default"] = {"description": "A problem", "content": problem}
        for way in details.get("security", ()):
            for scheme in way:
                way[scheme] = [f"{area}:{verb}" for area, verb in guards(operation)]
        return details


def guards(operation: Operation) -> Iterator[tuple[Area, Verb]]:
    """What a token must be allowed."""
    for one in operation.auth_callbacks:
        if isinstance(one, BearerToken) and one.guarded_by[0] is not None:
            yield one.guarded_by[0], one.guarded_by[1]


def refs(value: object) -> Iterator[str]:
    """The names of the shapes that are referred to in a part of the description."""
    if isinstance(value, Mapping):
        if isinstance(ref := value.get("$ref"), str):
            yield ref.removeprefix(REF)
        for one in value.values():
            yield from refs(one)
    elif isinstance(value, list):
        for one in value:
            yield from refs(one)


def _words(tag: str) -> list[str]:
    return tag.replace("/", "-").split("-")


def _taken(own: Json, known: Json) -> set[str]:
    """The names that mean another shape already, and those of shapes that refer to such a one."""
    taken = {name for name, shape in own.items() if name in known and known[name] != shape}
    while more := {name for name in own.keys() & known.keys() - taken if taken.intersection(refs(own[name]))}:
        taken |= more
    return taken


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed_ref(one, names) if key == "$ref" else _renamed(one, names) for key, one in value.items()}
    return [_renamed(one, names) for one in value] if isinstance(value, list) else value


def _renamed_ref(ref: Any, names: Mapping[str, str]) -> Any:
    if not isinstance(ref, str):
        return ref
    name = ref.removeprefix(REF)
    return f"{REF}{names.get(name, name)}"
