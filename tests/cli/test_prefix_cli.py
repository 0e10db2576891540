"""`frugalctl prefix` as a user runs it."""

import json
import tomllib

import pytest
from cli_cases import complain_lines, run

LONG = "The desk answers in one sentence and names the page of the handbook. " * 200


def request(at, **more):
    stamp = f"2026-10-28T09:{at // 60:02d}:{at % 60:02d}Z"
    return {
        "timestamp": stamp,
        "tenant": "acme",
        "model": "gpt-5.4",
        "messages": [
            {"role": "system", "content": f"Current time: {stamp}\n{LONG}"},
            {"role": "user", "content": f"question {at}"},
        ],
    } | more


def write(path, requests):
    path.write_text("".join(json.dumps(one) + "\n" for one in requests))
    return path


@pytest.fixture
def log(tmp_path):
    return write(tmp_path / "log.jsonl", [request(at) for at in range(0, 300, 60)])


def test_the_report_names_the_timestamp(log):
    result = run("prefix", "report", log)
    assert (result.returncode, result.stderr) == (0, b"")
    text = result.stdout.decode()
    assert "Prompt cache: openai" in text
    assert "a timestamp at message 0 (system), character 29" in text
    body = json.loads(run("prefix", "report", log, "--json").stdout)
    cause = next(one for one in body["causes"] if one["cause"] == "volatile_text")
    assert (cause["requests"], cause["example"]["divergence"]["kind"]) == (4, "timestamp")
    assert cause["lost_usd"] > 0
    assert body["total"]["read_tokens"] == 0
    assert body["input_xxh3"]


def test_the_advice_is_to_move_it(log):
    body = json.loads(run("prefix", "advise", log, "--json").stdout)
    best = body["advice"][0]
    assert best["variant"].startswith("timestamp moved to the end of the")
    assert best["saving_usd"] > 0
    text = run("prefix", "advise", log).stdout.decode()
    assert "take the timestamp out of the system prompt" in text
    assert "varies in the system prompt: a timestamp at message 0 (system)" in text


def test_the_best_recipe_is_written_and_the_table_still_printed(log, tmp_path):
    target = tmp_path / "best.toml"
    result = run("prefix", "advise", log, "--prompt-cache", "anthropic", "-o", target)
    assert result.returncode == 0
    assert "alternative" in result.stdout.decode()
    assert tomllib.loads(target.read_text())["prompt_cache"]["kind"] == "anthropic"


def test_a_recipe_of_several_caches_says_whose_it_is(tmp_path):
    requests = [request(at, model=name) for at in (0, 5) for name in ("gpt-5.4", "claude-opus-5")]
    result = run("prefix", "advise", write(tmp_path / "two.jsonl", requests), "-o",
                 tmp_path / "best.toml")  # fmt: skip
    assert result.returncode == 0
    assert "a recipe has one prompt cache" in result.stderr.decode()


@pytest.mark.parametrize("command", ["report", "advise"])
@pytest.mark.parametrize("extension", ["json", "jsonl", "csv", "md", "txt"])
def test_every_format_by_its_extension(command, extension, log, tmp_path):
    target = tmp_path / f"out.{extension}"
    result = run("prefix", command, log, "-o", target)
    assert (result.returncode, result.stdout) == (0, b"")
    text = target.read_text()
    if extension in ("json", "jsonl"):
        assert json.loads(text)["schema_version"] == 1
        assert extension == "json" or text.count("\n") == 1
    assert {"csv": ",", "md": "| ---"}.get(extension, "") in text


def test_stdin_model_and_day(log):
    body = json.loads(
        run(
            "prefix", "report", "-", "--as-of", "2026-11-20", "--json", stdin=log.read_bytes()
        ).stdout
    )
    assert body["as_of"] == "2026-11-20"
    unnamed = json.dumps(request(0, model=None)).encode()
    named = run("prefix", "report", "-", "--model", "claude-opus-5", "--json", stdin=unnamed)
    assert json.loads(named.stdout)["cache"] == "anthropic"


def test_times_that_are_missing_or_out_of_order_are_said(tmp_path):
    backwards = write(tmp_path / "a.jsonl", [request(60), request(0)])
    assert "out of order in 1 places: sorted" in run("prefix", "report", backwards).stdout.decode()
    timeless = write(tmp_path / "b.jsonl", [request(0, timestamp=None)] * 2)
    assert "no request has a timestamp" in run("prefix", "advise", timeless).stdout.decode()


@pytest.mark.parametrize(
    ("fields", "options", "said"),
    [
        ({"model": "orchid-7b"}, (), "orchid-7b: unknown model"),
        ({"model": None}, (), "the log names no model"),
        ({"model": "gpt-3.5-turbo"}, (), "no prompt cache for gpt-3.5-turbo"),
        ({}, ("--prompt-cache", "openia"), "unknown kind 'openia'"),
        ({}, ("--prompt-cache", "anthropic:ttl=0"), "a lifetime must be above 0"),
        ({}, ("--prompt-cache", "vllm:capacity=-5"), "must not be negative"),
        (
            {},
            ("--prompt-cache", "anthropic:breakpoints=tools+system+0+-2+last"),
            "5 breakpoints, but a request may have 4",
        ),
        ({}, ("--as-of", "someday"), "is not a date"),
        (
            {"messages": None, "prefix_blocks": [1, 2], "usage": {"input_tokens": 900}},
            ("--prompt-cache", "blocks"),
            "prefix_blocks but no block_tokens",
        ),
        (
            {"messages": None, "usage": {"input_tokens": 900}},
            (),
            "no request of the log shows its prompt",
        ),
    ],
)
@pytest.mark.parametrize("command", ["report", "advise"])
def test_bad_input_is_refused_in_clear_words(command, fields, options, said, tmp_path):
    path = write(tmp_path / "log.jsonl", [request(0, **fields)])
    result = run("prefix", command, path, *options)
    assert (result.returncode, result.stdout) == (2, b"")
    assert said in complain_lines(result)[0]


def test_an_empty_log_and_an_unknown_model_to_compare(log, tmp_path):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    assert run("prefix", "report", empty).returncode == 2
    result = run("prefix", "advise", log, "--compare", "orchid-7b")
    assert (result.returncode, "no prompt cache for orchid-7b" in complain_lines(result)[0]) == (
        2,
        True,
    )


def test_the_log_is_never_overwritten(log):
    before = log.read_bytes()
    result = run("prefix", "report", log, "-o", log)
    assert (result.returncode, log.read_bytes()) == (2, before)


def test_bad_lines_are_skipped_and_listed(log):
    log.write_text(log.read_text() + "{\n")
    assert run("prefix", "report", log).returncode == 2
    result = run("prefix", "report", log, "--on-error", "skip")
    assert (result.returncode, "log.jsonl:6" in result.stderr.decode()) == (0, True)
