import json
import subprocess
import sys
from pathlib import Path

import pytest
from prompt_change_cases import change, price

from frugalctl.cli.check_prompts import replay_prompts
from frugalctl.errors import BadLine, ConfigError, InputError, UsageError
from frugalctl.levers.prompt_cache.settings import parse_cache_spec
from frugalctl.replay.recipe import Recipe, load_recipe
from frugalctl.replay.run import ReplayOptions

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "sample_data" / "prompts-ci"
LOG = SAMPLE / "log.jsonl"


def read_rows():
    return [json.loads(line) for line in LOG.read_text("utf-8").splitlines()]


def show(replay):
    return "\n".join(" | ".join(row) for table in replay.tables for row in table.rows)


def check(paths, logs, base=None, options=None, **more):
    paths = [str(path) for path in paths]
    logs = [str(log) for log in logs]
    return replay_prompts(paths, logs, base and str(base), options or ReplayOptions(), 0, **more)


def render(version, row):
    """What a version of the sample's prompt is for a request, by plain replacement."""
    customer = row["messages"][0]["content"].rpartition("The customer is ")[2].removesuffix(".")
    text = (SAMPLE / version / "support.md").read_text("utf-8").strip()
    values = {
        "now": row["timestamp"][:19] + "Z",
        "today": row["timestamp"][:10],
        "customer": customer,
    }
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text


@pytest.fixture(scope="module")
def bad():
    return check([SAMPLE / "v2"], [LOG])


@pytest.fixture(scope="module")
def fixed():
    return check([SAMPLE / "v2-fixed"], [LOG])


def test_the_sample_is_made_by_its_script(tmp_path):
    script = ROOT / "sample_data" / "make_prompts_ci.py"
    subprocess.run([sys.executable, script, tmp_path], check=True, capture_output=True)
    assert (tmp_path / "prompts-ci" / "log.jsonl").read_bytes() == LOG.read_bytes()


@pytest.mark.parametrize("version", ["v2", "v2-fixed"])
def test_costs_are_those_of_a_slow_computation(version, request):
    found = request.getfixturevalue({"v2": "bad", "v2-fixed": "fixed"}[version])
    rows = read_rows()
    old_usd, old_total, old_read = price(rows)
    new_usd, new_total, new_read = price([change(row, render(version, row)) for row in rows])
    (record,) = found.records
    assert record["base_cost_usd"] == pytest.approx(float(old_usd), abs=1e-10)
    assert record["cost_usd"] == pytest.approx(float(new_usd), abs=1e-10)
    assert found.base["recipe"]["cost_usd"] == record["base_cost_usd"]
    assert found.head["recipe"]["cost_usd"] == record["cost_usd"]
    requests = found.base["prompts"][0]["requests"]
    assert found.base["prompts"][0]["input_tokens_mean"] == pytest.approx(old_total / requests)
    assert found.head["prompts"][0]["input_tokens_mean"] == pytest.approx(new_total / requests)
    assert record["base_cached_share"] == pytest.approx(old_read / old_total)
    assert record["cached_share"] == pytest.approx(new_read / new_total)


def test_the_bad_change_is_explained_by_its_line(bad):
    words = show(bad)
    assert (
        f"{SAMPLE}/v2/support.md:1: {{now}} changes with every request: everything behind" in words
    )
    assert "character 6 of the system prompt can no longer be read from the cache" in words
    assert "(cached share 81.1% -> 0.0%)" in words
    assert f"put {{now}} at the end of {SAMPLE}/v2/support.md" in words
    assert bad.records[0]["cost_pct"] > 100
    assert bad.records[0]["remedy_cost_usd"] < bad.records[0]["cost_usd"] / 2


def test_the_remedy_costs_what_the_changed_template_would(bad, tmp_path):
    first, rest = (SAMPLE / "v2" / "support.md").read_text("utf-8").split("\n", 1)
    (tmp_path / "support.md").write_text(f"{rest.rstrip()}\n{first}\n", "utf-8")
    moved = check([tmp_path], [LOG], SAMPLE / "v1")
    assert moved.records[0]["cost_usd"] == pytest.approx(
        bad.records[0]["remedy_cost_usd"], abs=1e-9
    )


def test_the_fix_costs_little(fixed):
    assert fixed.records[0]["cost_pct"] < 5
    assert "can no longer be read" not in show(fixed)


def test_quality_is_unknown_and_said_to_be(bad):
    assert bad.head["recipe"]["quality"]["mean"] is None
    assert bad.base["recipe"]["quality"]["mean"] is None
    assert bad.head["baseline"]["quality"]["mean"] is not None
    assert any("quality is unknown in the 88 requests" in remark for remark in bad.remarks)


def test_the_month_is_said_to_be_scaled(bad, tmp_path):
    notes = [note for table in bad.tables for note in table.notes]
    assert "The log stands for 5.0 days; a month (30.44 days) is that times 6.09." in notes
    rows = read_rows()[:4]
    log = write(tmp_path / "short.jsonl", rows)
    (table, *_) = check([SAMPLE / "v2"], [log]).tables
    assert "cost, 1,000 requests>" in table.columns
    (table, *_) = check([SAMPLE / "v2"], [log], requests_per_month=4000).tables
    assert "cost, a month>" in table.columns
    usd = float(check([SAMPLE / "v2"], [log]).records[0]["cost_usd"])
    assert f"-> ${usd * 1000:.3f}"[:8] in table.rows[0][4]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@pytest.mark.parametrize("how", ["folder", "inferred"])
def test_the_old_template_may_be_elsewhere_or_unknown(how, bad, tmp_path):
    (tmp_path / "support.md").write_bytes((SAMPLE / "v2" / "support.md").read_bytes())
    found = check([tmp_path], [LOG], SAMPLE / "v1" if how == "folder" else None)
    for key in ("requests", "base_cost_usd", "cost_usd", "base_input_tokens_mean"):
        assert found.records[0][key] == bad.records[0][key]


def test_a_prompt_that_does_not_change_costs_what_it_did():
    found = check([SAMPLE / "v1"], [LOG])
    assert found.records[0]["current_requests"] == 88
    assert found.records[0]["cost_usd"] == found.records[0]["base_cost_usd"]
    assert found.head["recipe"] == found.base["recipe"] | {"name": "prompts as changed"}
    assert found.head["recipe"]["quality"]["mean"] is not None


def test_the_same_input_gives_the_same_bytes(bad):
    again = check([SAMPLE / "v2"], [LOG])
    assert json.dumps([again.base, again.head, again.records]) == json.dumps(
        [bad.base, bad.head, bad.records]
    )


LONG = " ".join(
    f"Rule {at}: answer politely, in two sentences, and promise nothing." for at in range(120)
)


def row(at, system, user="Where is my order?", **more):
    messages = [{"role": "system", "content": system}] if system else []
    return {
        "id": f"r{at}",
        "timestamp": f"2026-11-{10 + at // 20:02d}T10:{at % 20:02d}:00Z",
        "model": "gpt-5.4-mini",
        "messages": [*messages, {"role": "user", "content": user}],
        "response": "It is on its way.",
        "usage": {"input_tokens": 2000, "output_tokens": 8},
    } | more


def folder(path, **files):
    path.mkdir(exist_ok=True)
    for name, text in files.items():
        (path / name.replace("__", ".")).write_text(text, "utf-8")
    return path


def test_what_no_prompt_matches_is_counted_and_left_alone(tmp_path):
    rows = [row(at, LONG) for at in range(30)] + [row(at, "Translate.") for at in range(30, 40)]
    log = write(tmp_path / "log.jsonl", rows)
    new = folder(tmp_path / "new", a__md=f"{LONG} Be quick.", b__md="Nothing like it, never sent.")
    old = folder(tmp_path / "old", a__md=LONG)
    found = check([new], [log], old)
    assert [record["requests"] for record in found.records] == [30, 0]
    remarks = "\n".join(found.remarks)
    assert "10 requests (25.0%) have none of these prompts" in remarks
    assert f"{new}/b.md is not in --base {old}" in remarks
    assert f"{new}/b.md: no request of the log has this prompt" in remarks
    assert ("(none of them)", "10") in [entry[:2] for entry in found.tables[0].rows]


def test_the_most_specific_prompt_wins(tmp_path):
    log = write(tmp_path / "log.jsonl", [row(at, f"You help. {LONG}") for at in range(20)])
    old = folder(tmp_path / "old", wide__md="You help. {rest}", narrow__md=f"You help. {LONG}")
    new = folder(tmp_path / "new", wide__md="You serve. {rest}", narrow__md=f"You do. {LONG}")
    found = check([new], [log], old)
    assert {one["prompt"]: one["requests"] for one in found.records} == {"narrow": 20, "wide": 0}
    assert any(
        "20 requests matched several prompts" in note for t in found.tables for note in t.notes
    )


def test_declared_filters_choose_the_requests(tmp_path):
    rows = [row(at, LONG, task="faq" if at % 2 else "code") for at in range(20)]
    log = write(tmp_path / "log.jsonl", rows)
    declared = '[a]\nfile = "a.md"\ntask = "faq"\nwas = { file = "old.md" }'
    new = folder(tmp_path / "p", a__md=f"{LONG} Be quick.", old__md=LONG, prompts__toml=declared)
    assert check([new], [log]).records[0]["requests"] == 10


def test_a_prompt_in_the_users_message(tmp_path):
    rows = [row(at, LONG, f"Answer briefly.\nQuestion: number {at}\n") for at in range(20)]
    log = write(tmp_path / "log.jsonl", rows)
    declared = '[ask]\nfile = "ask.md"\nrole = "user"\nwas = { file = "old.md" }'
    new = folder(
        tmp_path / "p",
        ask__md="Answer in one sentence.\nQuestion: {question}",
        old__md="Answer briefly.\nQuestion: {question}",
        prompts__toml=declared,
    )
    (record,) = check([new], [log]).records
    assert record["requests"] == 20
    assert record["input_tokens_mean"] == record["base_input_tokens_mean"] + 2


def test_text_in_parts_keeps_their_marks_and_a_prompt_below_the_minimum_is_named(tmp_path):
    def parts(at, text):
        mark = {"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}
        usage = {"input_tokens": 2000, "cache_read_tokens": 1900 if at else 0, "output_tokens": 8}
        messages = [{"role": "system", "content": [mark]}, {"role": "user", "content": f"Hi {at}"}]
        return row(at, None, model="claude-opus-5", usage=usage, messages=messages)

    log = write(tmp_path / "log.jsonl", [parts(at, LONG) for at in range(20)])
    new = folder(tmp_path / "new", a__md=LONG[:700])
    found = check([new], [log], folder(tmp_path / "old", a__md=LONG))
    (record,) = found.records
    assert record["base_cached_share"] > 0.8
    assert record["cached_share"] == 0
    assert "shorter than the provider's minimum of 512 tokens" in record["why"]
    assert any("breakpoints=logged" in remark for remark in found.remarks)


def test_breakpoints_are_laid_as_the_logged_reads_suggest(tmp_path):
    def cached(at):
        usage = {"input_tokens": 2000, "output_tokens": 8}
        usage |= {"cache_read_tokens": 1950 if at else 0, "cache_write_tokens": 0 if at else 1950}
        return row(at, LONG, f"Question {at}", model="claude-opus-5", usage=usage)

    log = write(tmp_path / "log.jsonl", [cached(at) for at in range(20)])
    new = folder(tmp_path / "new", a__md=f"{{now}} {LONG}")
    found = check([new], [log], folder(tmp_path / "old", a__md=LONG))
    (record,) = found.records
    assert record["base_cached_share"] > 0.9
    assert record["cached_share"] == 0
    assert record["remedy"] == "put now as a last message"
    assert any("anthropic:breakpoints=system" in remark for remark in found.remarks)


def test_a_log_that_caches_nothing_is_simulated_without_a_cache(tmp_path):
    usage = {"input_tokens": 2000, "cache_read_tokens": 0, "cache_write_tokens": 0}
    rows = [
        row(at, LONG, model="claude-opus-5", usage=usage | {"output_tokens": 8}) for at in range(20)
    ]
    log = write(tmp_path / "log.jsonl", rows)
    found = check([folder(tmp_path / "new", a__md=f"{{now}} {LONG}")], [log])
    assert found.records[0]["base_cached_share"] == 0
    assert any("neither cached reads nor writes" in remark for remark in found.remarks)


def test_without_timestamps_every_request_still_has_its_own_time(tmp_path):
    rows = [row(at, LONG) for at in range(20)]
    for one in rows:
        del one["timestamp"]
    log = write(tmp_path / "log.jsonl", rows)
    found = check([folder(tmp_path / "new", a__md=f"{{now}} {LONG}")], [log])
    assert found.records[0]["span"] == "1,000 requests"
    assert "changes with every request" in found.records[0]["why"]


def test_the_recipes_cache_goes_before_the_providers(tmp_path):
    log = write(tmp_path / "log.jsonl", [row(at, LONG) for at in range(20)])
    new = folder(tmp_path / "new", a__md=f"{LONG} Be quick.")
    recipe = Recipe("mine", prompt_cache=parse_cache_spec("blocks:unit=16"))
    found = check([new], [log], options=ReplayOptions(recipe=recipe))
    assert found.base["prompt_cache"]["name"] == "blocks:unit=16"
    assert found.records[0]["base_cached_share"] > 0.9


def test_recipes_with_other_levers_are_refused(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text('[compress]\ntiers = ["lossless"]\n')
    with pytest.raises(UsageError, match="without compress"):
        check([SAMPLE / "v2"], [LOG], options=ReplayOptions(recipe=load_recipe(str(path))))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"model": "gpt-4o", "usage": {"input_tokens": 5, "output_tokens": 1}}], "messages"),
        ([row(0, "Something else altogether.")], "any of these prompts"),
    ],
)
def test_a_log_that_shows_no_prompt(tmp_path, rows, words):
    with pytest.raises(InputError, match=words):
        check([SAMPLE / "v2"], [write(tmp_path / "log.jsonl", rows)])


def test_bad_messages_name_their_line(tmp_path):
    log = write(tmp_path / "log.jsonl", [row(0, LONG), row(1, LONG, messages=["hi"])])
    with pytest.raises(BadLine) as caught:
        check([folder(tmp_path / "p", a__md=LONG)], [log])
    assert caught.value.where == f"{log}:2"


@pytest.mark.parametrize("text", ["{now}", "{now}{who}", "{now}\n- {who}"])
def test_a_prompt_without_fixed_words_would_be_in_every_request(tmp_path, text):
    log = write(tmp_path / "log.jsonl", [row(at, LONG) for at in range(3)])
    new = folder(tmp_path / "p", a__md=text, b__md=LONG)
    with pytest.raises(ConfigError, match="nothing but placeholders") as caught:
        check([new], [log])
    assert caught.value.where == f"{new}/a.md"


def test_a_prompt_without_fixed_words_may_replace_another(tmp_path):
    rows = [row(at, LONG) for at in range(20)] + [row(at, f"No. {LONG}") for at in range(20, 30)]
    log = write(tmp_path / "log.jsonl", rows)
    found = check(
        [folder(tmp_path / "p", a__md="{now}")], [log], folder(tmp_path / "old", a__md=LONG)
    )
    assert found.records[0]["requests"] == 20
    assert found.records[0]["current_requests"] == 0


def test_a_prompt_without_fixed_words_may_be_that_of_a_task(tmp_path):
    rows = [row(at, LONG, task="faq" if at % 2 else "code") for at in range(20)]
    declared = '[a]\nfile = "a.md"\ntask = "faq"'
    new = folder(tmp_path / "p", a__md="{rules}", prompts__toml=declared)
    found = check([new], [write(tmp_path / "log.jsonl", rows)])
    assert found.records[0]["current_requests"] == 10


def test_a_placeholder_that_nobody_knows(tmp_path):
    log = write(tmp_path / "log.jsonl", [row(at, LONG) for at in range(3)])
    with pytest.raises(ConfigError, match="mood"):
        check([folder(tmp_path / "p", a__md=f"{LONG} {{mood}}")], [log])


def test_hostile_names_and_texts_stay_text(tmp_path):
    evil = f"{LONG} \u202e::error::\x1b[31m<script>|"
    log = write(
        tmp_path / "log.jsonl", [row(at, evil, tenant="::error::\x1b[2J") for at in range(9)]
    )
    new = folder(tmp_path / "p\x1b[1m", a__md=f"{{now}} {evil}")
    found = check([new], [log])
    assert found.records[0]["requests"] == 9
    assert "<script>" not in show(found)
