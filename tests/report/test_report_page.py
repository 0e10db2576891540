"""`FRUGALCTL_REGENERATE=1 pytest tests/report` writes the golden page anew, to be reviewed.

Its pictures are left out, since their coordinates depend on the version of what draws them.
"""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from page_cases import SAMPLE, SINGLES, page_of, render
from test_renderers import HOSTILE, sample_rows, unknown_rows

import frugalctl
from frugalctl.cli.app import run_command
from frugalctl.replay.ledger import open_ledger
from frugalctl.report.html.breakdowns import MOST_ROWS, lay_out_breakdowns
from frugalctl.report.html.overview import lay_out_levers
from frugalctl.report.html.spread import lay_out_front
from frugalctl.report.layout import find_worst_quality, lay_out, lay_out_each_lever
from frugalctl.report.summary import summarise

GOLDEN = Path(__file__).parents[1] / "golden" / "report.html"
_DRAWING = re.compile(r"(</desc>).*?(?=</svg>)", re.DOTALL)


@pytest.fixture
def fixed_version(monkeypatch):
    monkeypatch.setattr(frugalctl, "__version__", "0.0.0")


class Outline(HTMLParser):
    """Elements, attributes and text of a page; complains of tags that do not match."""

    VOID = frozenset({"meta", "link", "br", "use"})

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.attributes, self.text = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def to_cents(text):
    return int(re.sub(r"[^\d-]", "", text.replace("\u2212", "-")))


@pytest.mark.usefixtures("fixed_version")
def test_golden():
    text = _DRAWING.sub(r"\1", render(sample_rows(), singles=SINGLES, logs=("log.jsonl",)))
    if os.environ.get("FRUGALCTL_REGENERATE"):
        GOLDEN.write_text(text, "utf-8")
    assert text == GOLDEN.read_text("utf-8")


def test_the_same_ledger_gives_the_same_bytes_in_any_process():
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from page_cases import SINGLES, render\n"
        "from test_renderers import sample_rows\n"
        "sys.stdout.write(render(sample_rows(), singles=SINGLES))"
    )
    here = Path(__file__).parent
    printed = subprocess.run(
        [sys.executable, "-c", program, str(here)],
        env=os.environ | {"PYTHONHASHSEED": "1", "PYTHONUTF8": "1"},
        check=True,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert printed.stdout == render(sample_rows(), singles=SINGLES)


@pytest.mark.parametrize("size", [1, 5])
def test_it_does_not_matter_how_the_ledger_is_cut(size):
    rows = sample_rows()
    assert render(rows, size=size) == render(rows)


def test_it_is_one_file_that_loads_nothing():
    text = render(sample_rows(), singles=SINGLES)
    outline = Outline(text)
    assert not {"script", "iframe", "img", "object", "embed", "form"} & set(outline.elements)
    loaded = [(tag, name) for tag, name, _ in outline.attributes if name in ("src", "srcset")]
    assert not loaded
    links = [value for _, name, value in outline.attributes if name.endswith("href")]
    assert links and all(link.startswith(("#", "data:,")) for link in links)
    assert not re.search(r"@import|url\((?!#)", text)


def test_headings_ids_and_charts_are_in_order():
    outline = Outline(render(sample_rows(), singles=SINGLES))
    levels = [int(tag[1]) for tag in outline.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:], strict=False))
    ids = [value for _, name, value in outline.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    charts = [value for tag, name, value in outline.attributes if (tag, name) == ("svg", "role")]
    assert len(charts) == outline.elements.count("figure") == 4
    wanted = [value for _, name, value in outline.attributes if name.startswith("aria-labelledby")]
    assert {part for value in wanted for part in value.split()} <= set(ids)


def test_hostile_names_stay_text():
    rows = sample_rows(HOSTILE, tenant=HOSTILE, unpriced=None, id=HOSTILE)
    for row in rows:
        row["baseline"] = row["baseline"] | {"model": HOSTILE}
        row["calls"] = [(HOSTILE, 0.5)]
    singles = [single for single in SINGLES if single.model != "rare"]
    hostile = type(singles[0])(HOSTILE, *(getattr(singles[0], k) for k in singles[0].__slots__[1:]))
    text = render(rows, singles=(hostile, *singles[1:]), recipe=HOSTILE, logs=(HOSTILE,))
    outline = Outline(text)
    assert "b" not in outline.elements and "bold" not in outline.elements
    assert all(char.isprintable() or char == "\n" for char in text)
    shown = "".join(outline.text)
    assert "\\x1b[31mred" in shown and "\\u202eevil\\u2066 <b>&amp;" in shown


def test_long_names_are_cut():
    name = "\u202e" + "x" * 1_000_000
    rows = sample_rows(name, tenant=name, id=name)
    for row in rows:
        row["baseline"] = row["baseline"] | {"model": name}
    text = render(rows, recipe=name, logs=(name,), settings={"cascade": {name: name}})
    assert len(text) < 300_000
    assert "x" * 200 + "\u2026" not in text and "\u2026" in text


def test_what_is_unknown_says_so():
    text = render(unknown_rows())
    outline = Outline(text)
    shown = "".join(outline.text)
    assert shown.count("unknown") >= 6
    assert "$0" not in shown and "nan" not in text.lower().replace("tenant", "")
    assert "No request of the log has a latency." in shown


def test_without_levers_there_is_one_side():
    shown = "".join(Outline(render(sample_rows(), levers=False)).text)
    assert "What the log cost" in shown
    assert "baseline ->" not in shown and "What each lever saved" not in shown
    assert "recipe tokens" not in shown


def test_rows_without_dates_have_no_timeline():
    shown = "".join(Outline(render(sample_rows(day=None))).text)
    assert "No request of the log has a date." in shown


def many_tenants(count):
    rows = sample_rows(unpriced=None, covered=True)
    found = []
    for at in range(count):
        row = rows[at % len(rows)]
        usd = 0.003 + at / 7_777
        side = row["baseline"] | {"cost_usd": usd, "model": f"m{at}"}
        recipe = row["recipe"] | {"cost_usd": usd / 3}
        tenant = None if at % 9 == 0 else f"t{at:03d}"
        found.append(row | {"tenant": tenant, "baseline": side, "recipe": recipe})
        found[-1]["calls"] = [(f"m{at % 40}", usd / 3)]
    return found


def test_the_columns_of_costs_add_up_as_shown():
    page = page_of(many_tenants(97))
    tables = {table.title: table for table in lay_out_breakdowns(page).tables}
    tenants = tables["By tenant"]
    names = [row[0] for row in tenants.rows]
    assert len(names) == MOST_ROWS + 3
    assert names[-3:] == ["66 others", "(no tenant)", "total"]
    for title in ("By model", "By task", "By tenant", "By token class"):
        table = tables[title]
        for column in ("baseline", "recipe", "change"):
            at = table.headers.index(column)
            *parts, total = [to_cents(row[at]) for row in table.rows]
            assert sum(parts) == total, (title, column)
        counts = [int(row[1].replace(",", "")) for row in table.rows]
        assert sum(counts[:-1]) == counts[-1]


def test_the_steps_of_the_levers_add_up_as_shown():
    section = lay_out_levers(page_of(many_tenants(31)))
    first, *steps, last = section.tables[0].rows
    assert to_cents(first[3]) + sum(to_cents(row[1]) for row in steps) == to_cents(last[3])


def test_only_models_that_answered_nearly_all_are_on_the_front():
    (table,) = lay_out_front(page_of(sample_rows(), singles=SINGLES)).tables
    names = [row[0] for row in table.rows]
    assert names[:4] == ["small (front)", "worse", "large (front)", "rare (fewer requests)"]
    assert [row[-1] for row in table.rows] == ["11", "11", "11", "3", "10", "10"]


@pytest.mark.parametrize("recipe", ["semantic-and-prompt-cache", "prompt-compression"])
def test_what_the_levers_did_is_on_the_page(recipe, tmp_path):
    out, kept = tmp_path / "report.html", tmp_path / "run.parquet"
    chosen = str(SAMPLE.parents[1] / "recipes" / f"{recipe}.toml")
    assert run_command(["-q", "replay", str(SAMPLE), "-r", chosen, "-o", str(kept)]) == 0
    assert run_command(["report", str(kept), "-o", str(out)]) == 0
    shown = " ".join(" ".join(Outline(out.read_text("utf-8")).text).split())
    meta, batches = open_ledger(str(kept))
    report = summarise(batches, lambda: meta)
    label, quality = find_worst_quality(report)
    assert quality < report.recipe.quality.mean - 0.02
    assert f"{label}: {quality:.4f}" in shown
    tables = [table for of_lever in lay_out_each_lever(report).values() for table in of_lever]
    assert sum(len(table.rows) for table in tables) > 10
    for table in tables:
        for row in table.rows:
            assert " ".join(" ".join(row).split()) in shown
        assert all(note in shown for note in table.notes)


def test_what_is_left_out_of_a_group_is_told():
    rows = sample_rows()
    for at in (0, 2, 4):
        rows[at]["recipe"] = rows[at]["recipe"] | {"quality": None}
    page = page_of(rows)
    tables = {table.title: table for table in lay_out_breakdowns(page).tables}
    faq, korean, total = tables["By task"].rows
    assert faq[1] == "6" and faq[5] == "1.0000 \u2192 0.6667 (6 \u2192 3)"
    assert korean[1] == "5 of 6, 1 unpriced" and "(" not in korean[5]
    assert total[1] == "11 of 12, 1 unpriced"
    text = {table.title: table for table in lay_out(page.report)}["By task"]
    assert text.rows[0][1:4:2] == ("6", "1.0000 -> 0.6667 (6 -> 3)")
    assert text.rows[1][1] == "5 of 6"
    assert text.notes[1] == "Unpriced, in no cost: \uc548\ub0b4 (1)."
