import csv
from collections import Counter
from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from frugalctl.errors import ConfigError
from frugalctl.prices import load_book
from frugalctl.prices.book import DATA
from frugalctl.prices.resolve import HOSTS
from frugalctl.prices.rows import SET_COLUMNS, TIERS, read_prices, refuse_overlaps
from frugalctl.prices.rules import RULE_COLUMNS
from frugalctl.prices.windows import minutes_of_week, parse_window

BOOK = load_book()
TABLES = sorted(path for path in DATA.glob("*.csv"))
NOT_PRICES = ("aliases", "cache_rules", "tiers", "known_differences")
PRICES = [path for path in TABLES if path.stem not in NOT_PRICES]


def write_prices(folder, *rows, header=SET_COLUMNS):
    path = folder / "acme.csv"
    with path.open("w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(header)
        writer.writerows(
            [{**dict.fromkeys(SET_COLUMNS, ""), **row}[c] for c in header] for row in rows
        )
    return path


GOOD = {"model": "m", "input": "1", "output": "2", "source": "s", "checked_on": "2026-11-20"}


@pytest.mark.parametrize("path", PRICES, ids=lambda path: path.stem)
def test_every_row_names_its_source_and_day(path):
    with path.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert rows
    for row in rows:
        assert row["source"], row
        assert date.fromisoformat(row["checked_on"]) <= BOOK.checked_on, row
    assert len(read_prices(path)) == len(rows)


def test_every_rule_names_its_source_and_a_model_of_the_book():
    models = list(BOOK.sets)
    for rule in BOOK.rules:
        assert rule.source and rule.checked_on, rule
        assert rule.multiplier > 0
        assert any(provider == rule.provider for provider, _ in models), rule


def test_single_prices_are_as_the_sets_say():
    rows = BOOK.rows()
    cells = sum(len(one.usd_per_mtok) for sets in BOOK.sets.values() for one in sets)
    assert len(rows) == cells > 1000
    keys = Counter(
        (r.provider, r.model, r.surface, r.region, r.tier, r.above_input_tokens, r.window)
        + (r.dimension, r.valid_from, r.valid_to)
        for r in rows
    )
    assert max(keys.values()) == 1


def test_no_two_first_parties_use_one_name():
    for model, owners in BOOK.owners.items():
        assert len([owner for owner in owners if owner not in HOSTS]) <= 1, model


def test_aliases_lead_to_models_and_hide_none():
    for (provider, alias), model in BOOK.aliases.items():
        assert (provider, model) in BOOK.sets, alias
        assert (provider, alias) not in BOOK.sets, alias


def test_a_context_tier_has_the_prices_its_base_has():
    for sets in BOOK.sets.values():
        for one in sets:
            if not one.above_input_tokens or not one.usd_per_mtok:
                continue
            start = one.valid_from or date.min
            base = [
                other
                for other in sets
                if not other.above_input_tokens and other.tier == one.tier and other.holds_on(start)
            ]
            assert [set(other.usd_per_mtok) for other in base] == [set(one.usd_per_mtok)], one


def test_free_models_say_why():
    for sets in BOOK.sets.values():
        for one in sets:
            if 0 in one.usd_per_mtok.values():
                assert "free" in one.note


def test_the_book_says_which_it_took_where_tables_disagree():
    def notes(provider, model):
        return " ".join(one.note for one in BOOK.sets[provider, model])

    assert "litellm taken" in notes("deepseek", "deepseek-chat")
    assert "litellm taken" in notes("mistral", "mistral-large-latest")
    assert "genai-prices taken" in notes("moonshot", "kimi-k3")
    assert "litellm 1.106.2 dropped" in notes("anthropic", "claude-sonnet-4-5")
    assert "litellm 1.106.2 has the introductory price" in notes("google", "gemini-4-argon")


def test_book_id_tells_date_content_and_fallback():
    day, content = BOOK.book_id.rsplit("+", 1)[0][:10], BOOK.content
    assert date.fromisoformat(day) == BOOK.checked_on
    assert BOOK.book_id.startswith(f"{day}-{content}+litellm-")
    assert load_book(use_litellm=False).book_id == f"{day}-{content}"


def test_a_good_row(tmp_path):
    (one,) = read_prices(write_prices(tmp_path, GOOD))
    assert one.condition == ("acme", "m", "api", "", "standard", 0, "")
    assert one.usd_per_mtok == {"input": Decimal(1), "output": Decimal(2)}


@pytest.mark.parametrize(
    "broken",
    [
        {"source": ""},
        {"checked_on": ""},
        {"model": ""},
        {"input": "-1"},
        {"input": "nan"},
        {"input": "one"},
        {"tier": "gold"},
        {"valid_from": "2024"},
        {"above_input_tokens": "128k"},
    ],
    ids=str,
)
def test_a_bad_row_is_refused_with_its_place(tmp_path, broken):
    with pytest.raises(ConfigError, match="acme.csv:3"):
        read_prices(write_prices(tmp_path, GOOD, {**GOOD, **broken}))


def test_a_wrong_header_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="columns"):
        read_prices(write_prices(tmp_path, GOOD, header=SET_COLUMNS[1:]))
    (tmp_path / "acme.csv").write_text("")
    with pytest.raises(ConfigError, match="columns"):
        read_prices(tmp_path / "acme.csv")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {}),
        ({"valid_to": "2025-01-02"}, {"valid_from": "2025-01-01"}),
        ({"valid_from": "2025-01-01"}, {"valid_from": "2025-06-01"}),
        ({"valid_from": "2025-01-01", "valid_to": "2025-01-01"}, {"valid_from": "2025-06-01"}),
    ],
)
def test_overlapping_periods_are_refused(tmp_path, first, second):
    sets = read_prices(write_prices(tmp_path, GOOD | first, GOOD | second))
    with pytest.raises(ConfigError, match="two prices on"):
        refuse_overlaps(sets)


def test_adjoining_periods_are_not_refused(tmp_path):
    first, second = {"valid_to": "2025-01-01"}, {"valid_from": "2025-01-01"}
    sets = read_prices(write_prices(tmp_path, GOOD | first, GOOD | second, GOOD | {"tier": "flex"}))
    refuse_overlaps(sets)
    assert [one.tier for one in sets] == [TIERS[0], TIERS[0], "flex"]


def test_a_rule_without_source_is_refused(tmp_path):
    from frugalctl.prices.rules import read_rules

    path = tmp_path / "tiers.csv"
    cells = ["acme", "*", "tier", "batch", "*", "0.5", "", "", "", "2026-11-20", ""]
    path.write_text(",".join(RULE_COLUMNS) + "\n" + ",".join(cells) + "\n")
    with pytest.raises(ConfigError, match=r"tiers.csv:2.*source"):
        read_rules(path)


def to_minute(day, clock):
    hours, minutes = clock.split(":")
    return day * 1440 + int(hours) * 60 + int(minutes)


def test_windows_hold_to_the_minute():
    window = parse_window("mon-fri 00:00-01:00 04:00-06:00 10:00-24:00; sat-sun 00:00-24:00")
    assert window[to_minute(0, "00:59")] and not window[to_minute(0, "01:00")]
    assert not window[to_minute(4, "09:59")] and window[to_minute(4, "10:00")]
    assert window[to_minute(5, "03:00")] and window[to_minute(6, "23:59")]
    assert window.sum() == 5 * (60 + 120 + 840) + 2 * 1440


def test_windows_run_past_midnight():
    window = parse_window("sun 23:00-01:00")
    assert window[to_minute(6, "23:30")] and window[to_minute(0, "00:59")]
    assert window.sum() == 120
    assert parse_window("sat-mon 00:00-24:00").sum() == 3 * 1440


@pytest.mark.parametrize("text", ["", "mon", "mon 1-2", "day 00:00-01:00", "mon 24:01-25:00"])
def test_what_is_not_a_window(text):
    with pytest.raises(ValueError, match=r"hours|not in"):
        parse_window(text)


def test_every_window_of_the_book_parses():
    windows = {one.window for sets in BOOK.sets.values() for one in sets if one.window}
    assert windows
    for window in windows:
        assert parse_window(window).any()


def test_minutes_of_week():
    monday = np.datetime64("2026-11-16T00:01", "us").astype(np.int64)
    sunday = np.datetime64("1969-12-28T23:59:59", "us").astype(np.int64)
    assert minutes_of_week(np.array([monday, sunday])).tolist() == [1, 7 * 1440 - 1]
