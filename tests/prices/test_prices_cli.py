import csv
import io
import json

import pytest
from typer.testing import CliRunner

import frugalctl.prices
from frugalctl.cli.prices import app
from frugalctl.errors import PriceError, UsageError
from frugalctl.prices import load_book
from frugalctl.prices.book import DATA


def run(*arguments):
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_cost_as_json():
    usage = ["--input", "1200", "--cache-read", "1024", "--output", "150", "--reasoning", "50"]
    found = json.loads(run("cost", "--model", "gpt-4o-mini", *usage, "--json"))
    assert list(found) == [
        "model",
        "provider",
        "as_of",
        "service_tier",
        "tokens",
        "usd",
        "cost_usd",
        "origin",
        "book",
    ]
    assert found["tokens"] == {
        "fresh_input": 176,
        "cache_read": 1024,
        "cache_write": 0,
        "cache_write_1h": 0,
        "output": 100,
        "reasoning": 50,
    }
    assert found["cost_usd"] == pytest.approx(0.0001932, rel=1e-12)
    assert sum(found["usd"].values()) == pytest.approx(found["cost_usd"])
    assert (found["model"], found["provider"]) == ("gpt-4o-mini", "openai")
    assert (found["origin"], found["book"]) == ("book", load_book().book_id)


@pytest.mark.parametrize(
    ("arguments", "usd"),
    [
        (["--model", "gpt-4o", "--as-of", "2024-10-01"], 5),
        (["--model", "gpt-4o", "--as-of", "2024-10-02"], 2.5),
        (["--model", "gpt-4o", "--tier", "batch"], 1.25),
        (["--model", "claude-opus-5", "--region", "us"], 5.5),
        (["--model", "gpt-oss-120b", "--provider", "cerebras"], 0.35),
        (["--model", "deepseek-v4-pro", "--as-of", "2026-11-20"], 1.32),
        (["--model", "deepseek-v4-pro", "--as-of", "2026-11-20T12:00:00Z"], 0.66),
    ],
)
def test_cost_of_a_million_input_tokens(arguments, usd):
    found = json.loads(run("cost", *arguments, "--input", "1000000", "--json"))
    assert found["cost_usd"] == pytest.approx(usd)


def test_cost_as_table_and_csv():
    arguments = [
        "cost",
        "--model",
        "claude-sonnet-4-5",
        "--input",
        "11000",
        "--cache-read",
        "10000",
    ]
    table = run(*arguments)
    assert "0.00600000" in table and "cache_write" not in table
    (row,) = csv.DictReader(io.StringIO(run(*arguments, "--format", "csv")))
    assert float(row["usd.cache_read"]) == 0.003
    assert row["tokens.fresh_input"] == "1000"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--model", "gpt-4o", "--input", "10", "--cache-read", "11"], UsageError, "cached"),
        (["--model", "gpt-4o", "--input", "1", "--reasoning", "2"], UsageError, "reasoning"),
        (["--model", "gpt-4o", "--input", "1", "--as-of", "soon"], UsageError, "not a date"),
        (["--model", "gpt-4o", "--input", "1", "--tier", "flex"], PriceError, "no price for tier"),
        (["--model", "gpt-9x", "--input", "1"], PriceError, "unknown model"),
        (["--model", "gpt-9x", "--input", "0"], PriceError, "unknown model"),
        (["--model", "gpt-5.6", "--input", "9", "--cache-write-1h", "9"], PriceError, "one-hour"),
    ],
)
def test_cost_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        run("cost", *arguments)


def test_an_unknown_model_hints_at_the_nearest():
    with pytest.raises(PriceError, match="unknown model") as caught:
        run("show", "claude-opus-55")
    assert "claude-opus-5-5" in caught.value.hint


def test_show_on_a_day_has_source_and_day_of_checking():
    rows = json.loads(run("show", "claude-opus-5", "--as-of", "2026-11-20", "--json"))
    standard = {row["dimension"]: row for row in rows if row["tier"] == "standard"}
    assert {name: row["usd_per_mtok"] for name, row in standard.items()} == {
        "input": 5,
        "cache_write": 6.25,
        "cache_write_1h": 10,
        "cache_read": 0.5,
        "output": 25,
    }
    assert all(row["source"] and row["checked_on"] for row in rows)
    assert {row["usd_per_mtok"] for row in rows if row["tier"] == "batch"} >= {2.5, 12.5}


def test_show_without_a_day_is_the_history_newest_first():
    rows = json.loads(run("show", "o1-mini", "--json"))
    inputs = [
        (row["valid_from"], row["usd_per_mtok"])
        for row in rows
        if row["dimension"] == "input" and row["tier"] == "standard"
    ]
    assert inputs == [("2025-01-31", 1.1), ("2024-10-01", 3.0), (None, 3.0)]
    assert "1.1" in run("show", "o1-mini")


def test_show_of_a_fallback_says_so():
    assert "(fallback)" in run("show", "azure/gpt-4o")
    assert "priced as google's own API" in run("show", "gemini-1.5-pro", "--provider", "vertex_ai")


def test_show_on_a_day_without_price(tmp_path, monkeypatch):
    for path in DATA.glob("*.csv"):
        text = path.read_text()
        if path.stem == "openai":
            text += "gpt-x,,,standard,,,1,,,,2,,,2026-01-01,,someone,2026-11-20,\n"
        (tmp_path / path.name).write_text(text)
    book = load_book(tmp_path)
    monkeypatch.setattr(frugalctl.prices, "load_book", lambda: book, raising=False)
    assert "gpt-x" in run("show", "gpt-x", "--as-of", "2026-01-01")
    with pytest.raises(PriceError, match="no price on 2025-12-31"):
        run("show", "gpt-x", "--as-of", "2025-12-31")


def test_list_one_provider():
    rows = json.loads(run("list", "groq", "--json"))
    assert {row["provider"] for row in rows} == {"groq"}
    assert "openai/gpt-oss-120b" in run("list", "groq")
    old = {
        row["model"]: row
        for row in json.loads(run("list", "openai", "--as-of", "2024-09-01", "--json"))
        if row["dimension"] == "input"
    }
    assert old["gpt-4o"]["usd_per_mtok"] == 5
    with pytest.raises(UsageError, match="no provider"):
        run("list", "acme")


def test_diff_explains_itself():
    pytest.importorskip("genai_prices")
    rows = json.loads(run("diff", "--json"))
    assert rows and all(row["explanation"] != "unexplained" for row in rows)
    assert json.loads(run("diff", "--unexplained", "--json")) == []
    assert "genai-prices" in run("diff", "--format", "markdown")


def test_written_to_a_file(tmp_path):
    target = tmp_path / "cost.json"
    assert run("cost", "--model", "gpt-4o", "--input", "1000000", "-o", str(target)) == ""
    assert json.loads(target.read_text())["cost_usd"] == 2.5
