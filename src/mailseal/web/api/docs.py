"""The page that describes the API, made from its OpenAPI document: no script, nothing from elsewhere."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from mailseal.web.api.application import DESCRIPTION, api
from mailseal.web.guard import needs

Json = Mapping[str, Any]
_REF = "#/components/schemas/"


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter, or a part of a shape. `kind`: its type in words; `shape`: the name of the shape that it has."""

    name: str
    place: str
    kind: str
    shape: str
    required: bool
    text: str


@dataclass(frozen=True, slots=True)
class Shape:
    """What a JSON object has."""

    name: str
    text: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Described:
    """An operation. `needs`: what the token must be allowed; `given`, `shown`: shapes of body and response."""

    tag: str
    method: str
    path: str
    id: str
    text: str
    needs: str
    parameters: tuple[Field, ...]
    given: str
    shown: str


@needs(None)
def docs(request: HttpRequest) -> HttpResponse:
    """Show it."""
    document = api.get_openapi_schema()
    found = sorted(_operations(document), key=lambda one: one.tag)
    groups = [(tag, list(some)) for tag, some in groupby(found, key=lambda one: one.tag)]
    context = {"intro": DESCRIPTION, "groups": groups, "shapes": list(_shapes(document))}
    return render(request, "api/docs.html", context)


def _operations(document: Json) -> Iterator[Described]:
    for path, methods in document["paths"].items():
        for method, one in methods.items():
            yield Described(
                tag=one["tags"][0],
                method=method.upper(),
                path=path,
                id=one["operationId"],
                text=one["description"],
                needs=", ".join(scope for way in one["security"] for scopes in way.values() for scope in scopes),
                parameters=tuple(map(_parameter, one["parameters"])),
                given=_shape_of(one.get("requestBody", {})),
                shown=next((_shape_of(said) for status, said in one["responses"].items() if status != "default"), ""),
            )


def _shapes(document: Json) -> Iterator[Shape]:
    for name, one in sorted(document["components"]["schemas"].items()):
        if "properties" in one:
            required = one.get("required", ())
            fields = tuple(_field(key, value, required=key in required) for key, value in one["properties"].items())
            yield Shape(name, one.get("description", ""), fields)
        elif "enum" in one:
            words = f"{one.get('description', '')} One of: {', '.join(map(str, one['enum']))}."
            yield Shape(name, words.strip(), ())


def _parameter(one: Json) -> Field:
    text = one.get("description", "")
    return Field(one["name"], one["in"], _kind(one["schema"]), _ref(one["schema"]), one["required"], text)


def _field(name: str, schema: Json, *, required: bool) -> Field:
    return Field(name, "", _kind(schema), _ref(schema), required, schema.get("description", ""))


def _shape_of(body: Json) -> str:
    return next((_ref(media["schema"]) for media in body.get("content", {}).values()), "")


def _kind(schema: Json) -> str:
    """The type in words, like `list of text or null`; of a shape its name."""
    if "$ref" in schema:
        return str(schema["$ref"].removeprefix(_REF))
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if "additionalProperties" in schema and isinstance(schema["additionalProperties"], dict):
        return f"by name: {_kind(schema['additionalProperties'])}"
    word = str(schema.get("format") or schema.get("type", "anything"))
    return {"string": "text", "boolean": "true or false", "integer": "number"}.get(word, word)


def _ref(schema: Json) -> str:
    """The first shape that is named in a schema."""
    if "$ref" in schema:
        return str(schema["$ref"].removeprefix(_REF))
    inner = [*schema.get("anyOf", ()), schema.get("items"), schema.get("additionalProperties")]
    return next((_ref(one) for one in inner if isinstance(one, dict) and _ref(one)), "")
