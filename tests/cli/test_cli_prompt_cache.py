"""`frugalctl replay --prompt-cache`: published traces, and what users get wrong."""

import json
from pathlib import Path

import pytest
from cli_cases import complain_lines, row, run, write_log

TRACES = Path(__file__).resolve().parents[3] / "shared" / "data" / "traces"
MESSAGES = [
    {"role": "system", "content": "rule " * 1500},
    {"role": "user", "content": "How do I return a parcel?"},
]


def trace(name):
    path = TRACES / name
    if not path.exists():
        pytest.skip(f"{name} is not beside this checkout: public traces are no part of it")
    return path


def replay_json(*arguments):
    result = run("replay", *arguments, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def log(tmp_path):
    return write_log(tmp_path / "log.jsonl", 6, messages=MESSAGES)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("blocks:unit=512", 0.373624),
        ("blocks:unit=512,ttl=300", 0.293387),
        ("blocks:unit=512,ttl=300,refresh=false", 0.256980),
        ("blocks:unit=512,ttl=60", 0.105371),
        ("blocks:unit=512,ttl=600", 0.350122),
        ("blocks:unit=512,ttl=300,min=1024", 0.263668),
    ],
)
def test_mooncake_to_six_decimals(spec, expected):
    path = trace("mooncake_conversation.jsonl.gz")
    report = replay_json(path, "--prompt-cache", spec)
    assert round(report["prompt_cache"]["read_share"], 6) == expected
    tokens = report["recipe"]["tokens"]
    assert tokens["cache_read"] + tokens["fresh_input"] == 144_793_823
    assert tokens["cache_read"] == report["prompt_cache"]["read_tokens"]
    assert report["recipe"]["cost_usd"] is None, "a trace names no model"


def test_mooncake_in_50m_tokens():
    path = trace("mooncake_conversation.jsonl.gz")
    found = [
        replay_json(path, "--prompt-cache", f"blocks:unit=512{more}")["prompt_cache"]["read_tokens"]
        for more in ("", ",capacity=50000000")
    ]
    assert found[1] / found[0] == pytest.approx(0.992, abs=0.001)


@pytest.mark.parametrize(
    ("spec", "read", "write", "relative"),
    [
        ("openai", 0.9065, 0.0, 0.547),
        ("openai:model=gpt-5.4", 0.9065, 0.0, 0.184),
        ("anthropic", 0.8948, 0.1052, 0.221),
        ("anthropic:breakpoints=system+last", 0.9256, 0.0744, 0.186),
        ("anthropic:min=4096", 0.4235, 0.0752, 0.638),
        ("anthropic:model=claude-haiku-4-5", 0.4235, 0.0752, 0.638),
    ],
)
def test_taubench_shares_and_relative_cost(spec, read, write, relative):
    path = trace("taubench_airline_sessions.jsonl.gz")
    cache = replay_json(path, "--model", "gpt-4o", "--prompt-cache", spec)["prompt_cache"]
    assert cache["requests"] == 2454
    assert cache["read_share"] == pytest.approx(read, abs=0.0001)
    assert cache["write_share"] == pytest.approx(write, abs=0.0001)
    assert cache["relative_input_cost"] == pytest.approx(relative, abs=0.001)


def test_taubench_costs_what_its_tokens_cost():
    path = trace("taubench_airline_sessions.jsonl.gz")
    report = replay_json(path, "--model", "gpt-4o", "--prompt-cache", "openai")
    tokens = report["recipe"]["tokens"]
    micros = 2.5 * tokens["fresh_input"] + 1.25 * tokens["cache_read"] + 10 * tokens["output"]
    assert report["recipe"]["cost_usd"] == pytest.approx(micros / 1e6, abs=1e-9)


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ("blocks:ttl=0", "ttl=0: a lifetime must be above 0", None),
        (
            "anthropic:0s",
            "'0s' is no mode of the prompt cache (a lifetime must be",
            "known: 5m, 1h",
        ),
        ("blocks:ttl=1000000000000000", "ttl=1000000000000000: longer than a century", None),
        ("blocks:capacity=-5", "capacity=-5: must not be negative", None),
        ("blocks:capacity=0", "capacity=0: must be above 0", None),
        ("blocks:refresh=maybe", "refresh=maybe: neither true nor false", None),
        ("blok", "unknown kind 'blok' of the prompt cache", "did you mean 'blocks'?"),
        ("", "unknown kind '' of the prompt cache", "known: alibaba"),
        ("google:explicitly", "'explicitly' is no mode", "known: implicit, explicit"),
        ("blocks:tll=5", "unknown parameter 'tll' of the prompt cache", "did you mean 'ttl'?"),
        ("blocks:ttl=300,ttl=5", "cannot read 'ttl=5'", "write name=value"),
        ("anthropic:2h,ttl=5m", "two lifetimes: '2h' and ttl=5m", None),
        (
            "anthropic:breakpoints=tools+system+0+1+last",
            "5 breakpoints, but a request may have 4",
            None,
        ),
        ("anthropic:breakpoints=middle", "breakpoints=middle: 'middle' is not one of", None),
        ("anthropic:breakpoints=system:5m+last:1h", "breakpoints for an hour must stand", None),
        ("openai:tenants=none", "tenants='none' is neither split nor shared", None),
        ("google:explicit,model=gemini-pro", "google has no prompt cache for gemini-pro", "model="),
    ],
)
def test_a_wrong_specification_ends_in_2_with_one_line(log, spec, message, hint):
    result = run("replay", log, "--prompt-cache", spec)
    lines = complain_lines(result)
    assert (result.returncode, result.stdout) == (2, b""), lines
    assert lines[0].startswith(f"frugalctl: {message}"), lines
    assert len(lines) <= 2
    if hint is not None:
        assert lines[1].startswith("  hint: ") and hint in lines[1], lines


def write(path, *rows):
    path.write_text("".join(json.dumps(item) + "\n" for item in rows), "utf-8")
    return path


@pytest.mark.parametrize(
    ("rows", "spec", "message"),
    [
        ([row(0)], "openai", "no request shows its prompt, so no prompt cache can be simulated"),
        (
            [row(0, prefix_blocks=[1, 2]), row(1, messages=MESSAGES)],
            "openai",
            "1 requests have prefix_blocks but no block_tokens",
        ),
        (
            [row(0, prefix_blocks=[1], block_tokens=512)],
            "gemini-explicit",
            "a trace of hashed blocks does not show which prefix to cache",
        ),
        (
            [row(0, messages=MESSAGES), row(1, messages=MESSAGES, model="gemini-1.5-pro")],
            "gemini",
            "google has no prompt cache for gemini-1.5-pro in mode implicit",
        ),
        (
            [row(0, messages=MESSAGES), row(1, messages=["Hello"])],
            "openai",
            "log.jsonl:2: messages is not a JSON list of objects",
        ),
    ],
)
def test_a_log_that_cannot_be_simulated_ends_in_2(tmp_path, rows, spec, message):
    write(tmp_path / "log.jsonl", *rows)
    result = run("replay", "log.jsonl", "--prompt-cache", spec, "-o", "out.json", cwd=tmp_path)
    lines = complain_lines(result)
    assert (result.returncode, result.stdout) == (2, b"")
    assert lines[0] == f"frugalctl: {message}", lines
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('mode = "5m"', "[prompt_cache] kind is missing"),
        ("kind = 1", "[prompt_cache] kind is missing"),
        ('kind = "anthropic"\nmode = 5', "[prompt_cache] mode is not text"),
        ('kind = "antropic"', "unknown kind 'antropic' of the prompt cache"),
        ('kind = "blocks"\nttl = 0', "ttl=0: a lifetime must be above 0"),
        ('kind = "blocks"\nttl = true', "ttl=True: not a duration"),
        ('kind = "blocks"\ncapacity = -1', "capacity=-1: must not be negative"),
        ('kind = "blocks"\ncapcity = 1', "unknown parameter 'capcity' of the prompt cache"),
        ('kind = "anthropic"\nbreakpoints = []', "breakpoints=[]: not places such as"),
        ('kind = "anthropic"\nbreakpoints = "last"\nmodel = 3', "model is not text"),
        ("kind = 'anthropic'\nbreakpoints = ['tools', 'system', 0, 1, 'last']", "5 breakpoints"),
    ],
)
def test_a_wrong_table_of_a_recipe_names_the_file(tmp_path, log, table, message):
    (tmp_path / "bad.toml").write_text(f"[prompt_cache]\n{table}\n", "utf-8")
    result = run("replay", log, "--recipe", "bad.toml", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, b"")
    assert complain_lines(result)[0].startswith(f"frugalctl: bad.toml: {message}")


def test_a_table_and_a_specification_say_the_same(tmp_path, log):
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        'name = "x"\n[prompt_cache]\nkind = "anthropic"\nmode = "1h"\n'
        'breakpoints = ["system", "last"]\nmodel = "claude-opus-5"\n',
        "utf-8",
    )
    spec = "anthropic:1h,breakpoints=system+last,model=claude-opus-5"
    by_table = replay_json(log, "--recipe", recipe)
    by_spec = replay_json(log, "--prompt-cache", spec)
    assert by_table["prompt_cache"] == by_spec["prompt_cache"]
    assert by_table["recipe"] == by_spec["recipe"] | {"name": "x"}
    assert by_spec["recipe"]["name"] == spec


def test_the_flag_goes_before_the_recipes_table(tmp_path, log):
    recipe = tmp_path / "r.toml"
    recipe.write_text('[prompt_cache]\nkind = "anthropic"\n', "utf-8")
    report = replay_json(log, "--recipe", recipe, "--prompt-cache", "openai")
    assert (report["recipe"]["name"], report["prompt_cache"]["name"]) == ("r", "openai")


def test_what_is_printed_and_gated(log):
    result = run("replay", log, "--prompt-cache", "gemini-explicit:model=gemini-2.5-pro")
    printed = result.stdout.decode()
    assert "Prompt cache: gemini-explicit:model=gemini-2.5-pro" in printed
    assert "note: rules of google, but own prices, for gpt-4o-mini" in complain_lines(result)
    gate = ("--prompt-cache", "openai", "--fail-if")
    assert run("check", log, *gate, "levers.prompt_cache.saved_usd > 1").returncode == 0
    assert run("check", log, *gate, "levers.prompt_cache.saved_usd < 1").returncode == 1
    without = run("check", log, "--fail-if", "levers.prompt_cache.saved_usd > 1")
    assert without.returncode == 2


def test_stdin_is_read_twice_without_harm(log):
    piped = run("replay", "-", "--prompt-cache", "openai", "--json", stdin=log.read_bytes())
    assert piped.returncode == 0
    read = replay_json(log, "--prompt-cache", "openai")
    assert json.loads(piped.stdout)["prompt_cache"] == read["prompt_cache"]


def test_bad_lines_are_skipped_in_both_passes_alike(log):
    good = replay_json(log, "--prompt-cache", "openai")
    lines = log.read_text("utf-8").splitlines(keepends=True)
    log.write_text("{\n".join(lines), "utf-8")
    mixed = replay_json(log, "--prompt-cache", "openai", "--on-error", "skip")
    assert mixed["log"]["skipped_lines"] == len(lines) - 1
    assert mixed["prompt_cache"] == good["prompt_cache"]
    assert mixed["recipe"] == good["recipe"]
