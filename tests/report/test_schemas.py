"""The JSON Schemas that are shipped, against what the commands really write."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from frugalctl.cli.app import run_command

ROOT = Path(__file__).parents[2]
SCHEMAS = {
    name: json.loads(files("frugalctl.report").joinpath(f"schemas/{name}.schema.json").read_text())
    for name in ("report", "check", "diff")
}
OPEN = {"recipe", "semantic_cache", "compress", "prompt_cache", "unpriced", "prompts"}


def run(*arguments):
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with redirect_stdout(out), redirect_stderr(io.StringIO()):
        code = run_command(list(map(str, arguments)))
        out.flush()
    assert code in (0, 1)
    return json.loads(out.buffer.getvalue())


def close(schema, name=""):
    """The schema without room for keys that it does not describe."""
    if isinstance(schema, list):
        return [close(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: close(value, key) for key, value in schema.items()}
    if "properties" in schema and name not in OPEN:
        closed["additionalProperties"] = False
    return closed


def validate(found, name):
    Draft202012Validator(close(SCHEMAS[name])).validate(found)


def small_log(path, **more):
    rows = [
        {"model": "gpt-4o-mini", "usage": {"input_tokens": 100, "output_tokens": 5}} | more
        for _ in range(3)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_schemas(name):
    Draft202012Validator.check_schema(SCHEMAS[name])
    assert SCHEMAS[name]["$id"] == f"urn:frugalctl:{name}:1"
    assert SCHEMAS[name]["properties"]["schema_version"] == {"const": 1}


CASES = {
    "no lever": (),
    "cascade": ("--recipe", ROOT / "recipes/faq-cascade.toml"),
    "semantic cache": ("--recipe", ROOT / "recipes/semantic-cache.toml"),
    "compression": ("--recipe", ROOT / "recipes/prompt-compression.toml"),
    "prompt cache": ("--recipe", ROOT / "recipes/prompt-cache.toml"),
    "prices of the log": ("--prices", "log", "--as-of", "2026-11-01"),
}


@pytest.mark.parametrize("case", CASES)
def test_reports_are_as_described(tmp_path, case):
    lines = (ROOT / "sample_data/requests.jsonl").read_text("utf-8").splitlines(keepends=True)
    (tmp_path / "log.jsonl").write_text("".join(lines[:100]), "utf-8")
    found = run("replay", tmp_path / "log.jsonl", "--json", *CASES[case])
    validate(found, "report")


@pytest.mark.parametrize(
    "row", [{}, {"model": None}, {"model": "nobody"}, {"quality": 1, "latency_ms": 5}, {"task": ""}]
)
def test_reports_of_logs_that_know_little_are_as_described(tmp_path, row):
    validate(run("replay", small_log(tmp_path / "log.jsonl", **row), "--json"), "report")


def test_golden_files_are_as_described():
    golden = ROOT / "tests/golden"
    for name, schema in (("report", "report"), ("check", "check"), ("diff", "diff")):
        validate(json.loads((golden / f"{name}.json").read_text("utf-8")), schema)
    validate(json.loads((golden / "check-hostile.json").read_text("utf-8")), "check")


@pytest.fixture
def reports(tmp_path):
    paths = [tmp_path / "base.json", tmp_path / "head.json"]
    recipes = ((), CASES["cascade"])
    for path, recipe in zip(paths, recipes, strict=True):
        log = ROOT / "sample_data/requests.jsonl"
        path.write_text(json.dumps(run("replay", log, "--json", *recipe)))
    return paths


def test_verdicts_and_changes_are_as_described(reports):
    base, head = reports
    gates = ("--fail-if", "cost_usd > +5%", "--fail-if", "quality < 0.2", "--fail-if",
             "levers.cascade.saved_usd < +0")  # fmt: skip
    found = run("check", head, "--baseline", base, "--allow-new", *gates, "--json")
    validate(found, "check")
    assert [gate["status"] for gate in found["gates"]] == ["passed", "passed", "new"]
    validate(run("check", head, "--fail-if", "cost_usd > 0", "--json"), "check")
    validate(run("diff", base, head, "--json"), "diff")
    validate(run("diff", base, head, "--json", "--all"), "diff")


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("report", ("schema_version",), 2),
        ("report", ("recipe", "cost_usd"), "1.00"),
        ("report", ("recipe", "quality", "ci95"), [0.1]),
        ("report", ("recipe", "tokens", "output"), 0.5),
        ("report", ("log", "requests"), -1),
        ("check", ("gates", 0, "status"), "maybe"),
        ("check", ("gates_failed",), True),
        ("diff", ("changes", 0, "noise"), "yes"),
    ],
)
def test_what_is_wrong_is_refused(name, path, value):
    found = json.loads((ROOT / f"tests/golden/{name}.json").read_text("utf-8"))
    holder = found
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    assert not Draft202012Validator(SCHEMAS[name]).is_valid(found)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_missing_key_is_refused(name):
    found = json.loads((ROOT / f"tests/golden/{name}.json").read_text("utf-8"))
    for key in SCHEMAS[name]["required"]:
        less = {other: value for other, value in found.items() if other != key}
        assert not Draft202012Validator(SCHEMAS[name]).is_valid(less), key
