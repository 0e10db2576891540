"""A quick check of plain data against a JSON Schema, many values at once."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

Schema = dict[str, Any]

_TYPES: dict[str, set[type]] = {
    "null": {type(None)},
    "boolean": {bool},
    "string": {str},
    "integer": {int},
    "number": {int, float},
    "array": {list},
    "object": {dict},
}
_SAID_HERE = {
    "$ref", "type", "const", "enum", "pattern", "minimum", "maximum", "minItems", "maxItems",
    "items", "properties", "additionalProperties",
}  # fmt: skip
_SAYS_NOTHING = {"$schema", "$id", "$defs", "title", "description", "required"}


def keep_schema(values: Sequence[Any], schema: Schema, definitions: Schema) -> bool:
    """Whether all values surely keep a schema, but for keys that are missing.

    False says nothing: `jsonschema` decides then. This is many times as fast, as the fields of
    like objects are looked at together.

    Args:
        values: plain data.
        schema: of Draft 2020-12; with keywords that are not known here, nothing surely keeps it.
        definitions: what a `$ref` names.
    """
    if "$ref" in schema:
        return keep_schema(values, definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if not values or not schema.keys() <= _SAID_HERE | _SAYS_NOTHING:
        return not values
    texts: list[str] = [one for one in values if isinstance(one, str)]
    numbers: list[float] = [one for one in values if isinstance(one, int | float)]
    lists: list[list[Any]] = [one for one in values if isinstance(one, list)]
    objects: list[Schema] = [one for one in values if isinstance(one, dict)]
    return (
        _keep_type(values, schema)
        and all(re.search(schema.get("pattern", ""), text) for text in texts)
        and _are_within(numbers, schema.get("minimum"), schema.get("maximum"))
        and _are_within([*map(len, lists)], schema.get("minItems"), schema.get("maxItems"))
        and keep_schema(
            [item for items in lists for item in items], schema.get("items", {}), definitions
        )
        and _keep_fields(objects, schema, definitions)
    )


def _keep_type(values: Sequence[Any], schema: Schema) -> bool:
    allowed: list[Any] | None = [schema["const"]] if "const" in schema else schema.get("enum")
    if allowed is not None:
        return all(type(value) in map(type, allowed) and value in allowed for value in values)
    named = schema.get("type", list(_TYPES))
    names = [named] if isinstance(named, str) else named
    return set(map(type, values)) <= set[type]().union(*(_TYPES[name] for name in names))


def _are_within(numbers: list[float], least: float | None, most: float | None) -> bool:
    low, high = -math.inf if least is None else least, math.inf if most is None else most
    return not numbers or (low <= min(numbers) and max(numbers) <= high)


def _keep_fields(objects: list[Schema], schema: Schema, definitions: Schema) -> bool:
    fields, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    return all(
        keep_schema([one[key] for one in objects if key in one], field, definitions)
        for key, field in fields.items()
    ) and keep_schema(
        [value for one in objects for key, value in one.items() if key not in fields],
        others,
        definitions,
    )
