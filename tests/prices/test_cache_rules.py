import csv
import json
from datetime import date

import pytest
from typer.testing import CliRunner

from frugalctl.cli.prices import app
from frugalctl.errors import ConfigError, UsageError
from frugalctl.levers.prompt_cache.options import KEYS_OF, parse_options, split_options
from frugalctl.prices.cache_rules import (
    COLUMNS,
    FILE,
    find_cache_rule,
    list_modes,
    list_providers,
    load_cache_rules,
    read_cache_rules,
)

RULES = load_cache_rules()
TABLE = """openai azure anthropic google bedrock deepseek xai groq mistral moonshot alibaba
fireworks together vllm sglang llama.cpp""".split()


def test_every_row_names_its_source_and_day():
    with FILE.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == len(RULES) > 50
    for row in rows:
        assert row["source"], row
        assert date(2026, 1, 1) <= date.fromisoformat(row["checked_on"]), row


def test_every_provider_of_the_table_is_there():
    assert set(list_providers()) == set(TABLE)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.provider}-{rule.mode}")
def test_every_row_makes_sense(rule):
    if rule.engine == "none":
        return
    for bound in (rule.pessimistic, rule.optimistic):
        parse_options(dict(split_options(bound)), KEYS_OF[rule.engine])
    assert bool(rule.ttl_s) == bool(rule.ttl_kind)
    assert (rule.engine == "breakpoints") == bool(rule.max_breakpoints)
    assert rule.written_as == "fresh" or float(rule.write_multiplier) >= 1
    assert rule.written_as != "fresh" or rule.write_multiplier == "1"
    if rule.status == "unverified":
        assert (
            rule.pessimistic
            or rule.optimistic
            or "stands in" in rule.note
            or "not named" in rule.note
        )


def test_every_provider_and_mode_has_a_rule_for_an_unknown_model():
    for provider in list_providers():
        for mode in ["", *list_modes(provider)]:
            rule = find_cache_rule(provider, mode, "", None)
            assert rule is not None and rule.engine != "none", (provider, mode)
            assert mode in ("", rule.mode)


def test_a_mode_that_a_model_does_not_have():
    assert find_cache_rule("openai", "24h", "gpt-4o", None) is None
    assert find_cache_rule("openai", "24h", "gpt-4.1-mini", None).ttl_s == 86_400
    assert find_cache_rule("google", "explicit", "gemini-1.5-pro", None).engine == "named"
    assert find_cache_rule("google", "implicit", "gemini-1.5-pro", None).engine == "none"


def test_no_row_is_hidden_behind_an_earlier_one():
    for rule in RULES:
        glob = rule.models.split()[0]
        sample = glob.replace("*", "x" if glob == "*" else "")
        day = rule.valid_from or (date(2025, 1, 1) if rule.valid_to else None)
        mode = "" if rule.mode == "none" else rule.mode
        assert find_cache_rule(rule.provider, mode, sample, day) == rule


@pytest.mark.parametrize(
    ("day", "storage"), [(date(2026, 12, 31), "0.50"), (date(2027, 1, 1), "1.00"), (None, "1.00")]
)
def test_a_rule_holds_in_its_time(day, storage):
    rule = find_cache_rule("google", "explicit", "gemini-3.8-flash", day)
    assert rule.storage_usd_per_mtok_hour == storage


def write_rules(folder, **row):
    good = {"provider": "acme", "mode": "m", "models": "*", "engine": "blocks"}
    good |= {"status": "documented", "source": "s", "checked_on": "2026-11-20"}
    path = folder / "rules.csv"
    with path.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, COLUMNS, restval="")
        writer.writeheader()
        writer.writerow(good | row)
    return path


def test_a_good_row_is_read(tmp_path):
    assert read_cache_rules(write_rules(tmp_path))[0].provider == "acme"


@pytest.mark.parametrize(
    "row",
    [
        {"source": ""},
        {"checked_on": ""},
        {"checked_on": "yesterday"},
        {"engine": "magic"},
        {"status": "sure"},
        {"ttl_s": "-1"},
        {"ttl_s": "long"},
        {"written_as": "gold"},
    ],
)
def test_a_bad_row_is_refused_with_its_line(tmp_path, row):
    with pytest.raises(ConfigError) as caught:
        read_cache_rules(write_rules(tmp_path, **row))
    assert "rules.csv:2" in str(caught.value)


def run(*arguments):
    result = CliRunner().invoke(app, ["cache", *arguments])
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_prices_cache_prints_every_rule():
    found = json.loads(run("--json"))
    assert len(found) == len(RULES)
    assert all(row["source"] and row["checked_on"] for row in found)


def test_prices_cache_of_one_provider():
    found = json.loads(run("deepseek", "--json"))
    assert [(row["engine"], row["unit_tokens"]) for row in found] == [("units", 64)]
    rows = list(csv.DictReader(run("anthropic", "--format", "csv").splitlines()))
    assert {row["provider"] for row in rows} == {"anthropic"}
    table = run("anthropic")
    assert "4,096" in table and "platform.claude.com" in table and "2026-11-20" in table


def test_prices_cache_of_an_unknown_provider():
    with pytest.raises(UsageError) as caught:
        run("nobody")
    assert caught.value.exit_code == 2
    assert "deepseek" in caught.value.hint
