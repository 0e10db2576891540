"""What a placeholder in a new template stands for, in a log that another one may have rendered."""

import pytest
from test_prompt_change import LOG, LONG, SAMPLE, check, folder, row, write

SAMPLE_V1 = (SAMPLE / "v1" / "support.md").read_text("utf-8")


@pytest.mark.parametrize(
    "new",
    [
        SAMPLE_V1.replace("Harrow Lane Cycles", "{request_id}"),
        SAMPLE_V1.replace("Harrow Lane Cycles", "{{ now }}").replace(
            "{customer}", "{{ customer }}"
        ),
        SAMPLE_V1.replace("{customer}", "{uuid}"),
        "Be kind.\n" + SAMPLE_V1.replace("Harrow Lane Cycles", "{request_id}"),
    ],
)
def test_a_placeholder_that_fits_the_text_it_replaces_costs_what_it_does_with_a_base(new, tmp_path):
    path = folder(tmp_path / "p", support__md=new)
    found, known = check([path], [LOG]), check([path], [LOG], SAMPLE / "v1")
    for key in ("requests", "current_requests", "base_cost_usd", "cost_usd"):
        assert found.records[0][key] == known.records[0][key]
    assert found.records[0]["current_requests"] == 0
    assert any("taken for text that it takes the place of" in one for one in found.remarks)


def rendered(tmp_path, source, render, **more):
    """A log that was rendered with a template, priced with that template and no base."""
    rows = [row(at, render(at), **more) for at in range(60)]
    return check([folder(tmp_path / "p", a__md=source)], [write(tmp_path / "log.jsonl", rows)])


@pytest.mark.parametrize(
    ("source", "render"),
    [
        ("Id {request_id}. ", lambda at: f"Id {at:x}. "),
        ("It is {now}. ", lambda at: f"It is {10 + at // 20}th, 10:00. "),
        ("It is {{ now }}. ", lambda at: f"It is November {10 + at // 20}. "),
        ("It is {now:%Y}. ", lambda at: "It is 2026. "),
        ("For {account.id}. ", lambda at: "For 7. "),
        ("For {session_id}. ", lambda at: f"For {at // 9}. "),
    ],
)
def test_values_that_change_as_their_kind_does_are_as_in_the_log(source, render, tmp_path):
    found = rendered(tmp_path, source + LONG, lambda at: render(at) + LONG)
    assert found.records[0]["current_requests"] == 60
    assert not any("taken for text" in one for one in found.remarks)


@pytest.mark.parametrize("source", ["It is {now}. ", "It is {{ now }}. ", "It is {today}. "])
def test_a_fixed_time_is_no_sign_of_a_clock(source, tmp_path):
    found = rendered(tmp_path, source + LONG, lambda _: f"It is 2024-05-15 15:00:00 EST. {LONG}")
    assert found.records[0]["current_requests"] == 0
    assert found.records[0]["cost_usd"] != found.records[0]["base_cost_usd"]


def test_a_name_is_no_time_even_within_a_day(tmp_path):
    log = write(tmp_path / "log.jsonl", [row(at, f"It is Harrow Lane. {LONG}") for at in range(9)])
    found = check([folder(tmp_path / "p", a__md=f"It is {{now}}. {LONG}")], [log])
    assert found.records[0]["current_requests"] == 0


def test_a_declared_value_that_never_changes_is_text(tmp_path):
    declared = '[a.values]\nmood = "kind"\n[a.varies]\nmood = "request"'
    log = write(tmp_path / "log.jsonl", [row(at, f"Be kind. {LONG}") for at in range(9)])
    new = folder(tmp_path / "p", a__md=f"Be {{mood}}. {LONG}", prompts__toml=declared)
    assert check([new], [log]).records[0]["current_requests"] == 0


def test_a_value_of_no_known_kind_that_never_changes_is_named(tmp_path):
    found = rendered(
        tmp_path, f"You work for {{shop}}. {LONG}", lambda _: f"You work for A. {LONG}"
    )
    assert found.records[0]["current_requests"] == 60
    assert any(
        one.startswith(f"{tmp_path}/p/a.md:1: {{shop}} has one value in all 60 requests")
        for one in found.remarks
    )


@pytest.mark.parametrize(
    "line",
    [
        "Time: {now:%Y-%m-%d %H:%M:%S}",
        "Time: {now!s}",
        "Time: ${now}, $request_id",
        "Time: {{ now | strftime }}",
        "Time: {{ now() }}",
        "Time: {{ now.isoformat() }}",
    ],
)
def test_a_time_is_found_in_whatever_form_it_is_written(line, tmp_path):
    style = {"$": "${customer}", "{{": "{{ customer }}"}
    customer = next((word for mark, word in style.items() if mark in line), "{customer}")
    text = f"{line}\n{SAMPLE_V1}".replace("{customer}", customer)
    (record,) = check([folder(tmp_path / "p", support__md=text)], [LOG], SAMPLE / "v1").records
    assert record["cost_pct"] > 150


def test_a_day_is_priced_as_a_day_and_a_filter_as_the_value_that_was_logged(tmp_path):
    text = f"Day: {{now:%Y-%m-%d}}\n{SAMPLE_V1}"
    (record,) = check([folder(tmp_path / "p", support__md=text)], [LOG], SAMPLE / "v1").records
    assert record["cost_pct"] < 5
    text = SAMPLE_V1.replace("{customer}", "{{ customer | upper }}")
    (record,) = check([folder(tmp_path / "p", support__md=text)], [LOG], SAMPLE / "v1").records
    assert record["cost_pct"] == 0


def test_a_time_in_a_finer_format_does_not_take_the_value_of_the_coarser_one(tmp_path):
    log = write(tmp_path / "log.jsonl", [row(at, f"It is 2026. {LONG}") for at in range(20)])
    old = folder(tmp_path / "old", a__md=f"It is {{now:%Y}}. {LONG}")
    new = folder(tmp_path / "new", a__md=f"It is {{now:%H:%M}}. {LONG}")
    (record,) = check([new], [log], old).records
    assert record["cost_pct"] > 100


def test_what_looks_like_a_placeholder_and_is_text_is_named(tmp_path):
    text = f"{SAMPLE_V1}\nFor {{ who }}."
    found = check([folder(tmp_path / "p", support__md=text)], [LOG], SAMPLE / "v1")
    where = f"{tmp_path}/p/support.md:{text.count(chr(10)) + 1}"
    assert f"{where}: {{ who }} looks like a placeholder, but is text" in found.remarks
    log = write(tmp_path / "log.jsonl", [row(at, f"{LONG} {{ who }}") for at in range(9)])
    found = check([folder(tmp_path / "q", a__md=f"{LONG} {{ who }}")], [log])
    assert not any("looks like" in one for one in found.remarks)
