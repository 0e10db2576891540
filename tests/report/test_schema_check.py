"""The quick check of a schema, against jsonschema's."""

import copy
import json
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from frugalctl.report.schema_check import keep_schema

SCHEMA = json.loads(files("frugalctl.report").joinpath("schemas/report.schema.json").read_text())
GOLDEN = json.loads((Path(__file__).parents[1] / "golden/report.json").read_text("utf-8"))
VALUES = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        2,
        0.5,
        1.0,
        1e99,
        "",
        "x",
        "2026-10-01",
        [],
        {},
        [1],
        [2, 1],
        [[]],
        {"a": 1},
    ]
)


def keep(body):
    return keep_schema([body], SCHEMA, SCHEMA["$defs"])


def list_paths(value, path=()):
    yield path
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in keys:
        yield from list_paths(value[key], (*path, key))


PATHS = [path for path in list_paths(GOLDEN) if path]


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(PATHS), VALUES)
def test_it_agrees_with_jsonschema_but_on_missing_keys(path, value):
    body = copy.deepcopy(GOLDEN)
    holder = body
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    errors = Draft202012Validator(SCHEMA).iter_errors(body)
    sound = all(error.validator == "required" for error in errors)
    is_whole_float = isinstance(value, float) and value.is_integer()
    assert keep(body) == sound or (sound and is_whole_float)


@pytest.mark.parametrize("value", [[], {}, True, 1.0, 2])
def test_constants_are_of_one_type(value):
    assert keep_schema([1], {"const": 1}, {})
    assert not keep_schema([value], {"enum": [1]}, {})


def test_our_reports_need_no_second_check():
    assert keep(GOLDEN)


@pytest.mark.parametrize("schema", [{"anyOf": [{}]}, {"items": {"oneOf": []}}])
def test_a_keyword_that_it_does_not_know_is_kept_by_nothing(schema):
    assert not keep_schema([[1]], schema, {})
