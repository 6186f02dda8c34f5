"""Shapes in the description: told apart by their names."""

from mailseal.web.api.application import api as application


def _models():
    for _, router in application._routers:
        for path in router.path_operations.values():
            for operation in path.operations:
                yield from operation.models
                yield from (one for one in operation.response_models.values() if hasattr(one, "model_json_schema"))


def test_no_two_shapes_have_the_same_name():
    known, twice = {}, set()
    for model in set(_models()):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
        for name, shape in schema.get("$defs", {}).items():
            if known.setdefault(name, shape) != shape and not name.endswith("Params"):
                twice.add(name)
    assert len(known) > 100
    assert twice == set()
