"""An index that somebody else made, or that changes while it is read."""

import json
import shutil
import subprocess
import sys

import pytest
import xxhash
from cache_cli import build_once, run
from cli_cases import environment

RESET = "how do i reset my password"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build_once(tmp_path_factory.mktemp("built"))


@pytest.fixture
def idx(built, tmp_path):
    return shutil.copytree(built / "idx", tmp_path / "idx")


def seal(idx, **changes):
    """Change the manifest, with a checksum that is right."""
    path, none = idx / "manifest.json", "0" * 32
    text = json.dumps(json.loads(path.read_text("utf-8")) | changes | {"checksum": none})
    path.write_text(text.replace(none, xxhash.xxh3_128_hexdigest(text.encode()), 1), "utf-8")


@pytest.mark.parametrize("embedder", ["{folder}", "litellm:gpt", "../model", "http://x", "a\nb"])
def test_an_index_cannot_choose_what_is_loaded_or_called(idx, built, tmp_path, embedder):
    (tmp_path / "model").mkdir()
    seal(idx, embedder=embedder.format(folder=tmp_path / "model"))
    assert run("cache", "query", idx, "x").failed("was made with the embedder", "if you trust it")
    assert run("cache", "add", idx, built / "log.jsonl").failed("was made with the embedder")
    for command in ("info", "prune"):
        assert run("cache", command, idx).code == 0


@pytest.mark.parametrize(
    "table",
    [
        {"scorer": "cross-encoder:{folder}"},
        {"scorer": "{folder}/x.npz"},
        {"threshold": 7},
        {"candidates": 0},
        {"ttl": "soon"},
        {"max_bytes": -1},
        {"policy": "x"},
        {"lookup_ms": 1e300},
        {"guards": "none"},
        {"unknown": 1},
        [1],
    ],
)
def test_settings_that_an_index_cannot_have_are_an_error_of_its_manifest(idx, tmp_path, table):
    text = json.dumps(table).replace("{folder}", str(tmp_path))
    seal(idx, settings={"semantic_cache": json.loads(text)})
    assert run("cache", "query", idx, "x").failed(f"{idx}: manifest.json: ")
    assert run("cache", "prune", idx).failed(f"{idx}: manifest.json: ")


@pytest.mark.parametrize(
    "table",
    [{"candidates": 10**30}, {"ttl": 1e9, "max_entries": 10**30}, {"threshold": -1, "guards": []}],
)
def test_settings_of_any_size_do_no_harm(idx, table):
    seal(idx, settings={"semantic_cache": table})
    for question in (RESET, "anything else"):
        assert run("cache", "query", idx, question).code == 0
    assert run("cache", "prune", idx).code == 0


def test_settings_of_another_scope_are_found_out(idx):
    seal(idx, settings={"semantic_cache": {"scope": ["model"]}})
    assert run("cache", "query", idx, RESET).failed("another scope")


@pytest.mark.parametrize("name", ["fingerprint", "normalizer"])
def test_what_was_made_with_something_else_is_refused(idx, built, name):
    seal(idx, **{name: "else\x1b[31m"})
    assert run("cache", "query", idx, "x").failed("else\\x1b[31m")
    assert run("cache", "add", idx, built / "log.jsonl").failed("else\\x1b[31m")


BUILD_AGAIN = """
import sys
from frugalctl.cli.app import run_command
log, idx = sys.argv[1:]
for _ in range(12):
    for command in (["build", log, "-o", idx], ["add", idx, log], ["prune", idx, "--entry", "0"]):
        assert run_command(["cache", *command, "--wait", "9"]) == 0
"""


def test_an_index_is_whole_while_others_write_it(built, idx):
    arguments = [sys.executable, "-c", BUILD_AGAIN, str(built / "log.jsonl"), str(idx)]
    asked = 0
    with subprocess.Popen(arguments, env=environment(), stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            found = run("cache", "query", idx, RESET, "--record", "-f", "jsonl", "--wait", 9)
            assert (found.code, found.err) == (0, "")
            assert found.records()[0]["response"] == "none: press reset"
            assert run("cache", "info", idx).code == 0
            asked += 1
    assert process.returncode == 0 and asked > 5
