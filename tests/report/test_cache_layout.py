"""Evaluations and tunings as tables, JSON and TOML."""

import json
import math
import tomllib

from frugalctl.levers.semantic_cache.calibrate import Attempt, Risk, Search
from frugalctl.levers.semantic_cache.compare import PolicyResult
from frugalctl.levers.semantic_cache.evaluate import BreakEven, CurvePoint, GuardReport
from frugalctl.levers.semantic_cache.tune import Tuned
from frugalctl.report.cache_eval import (
    CURVE_FIELDS,
    CacheEval,
    CacheTune,
    Judged,
    encode_eval,
    encode_tune,
    render_eval_csv,
    render_tune_csv,
    write_cache_recipe,
)
from frugalctl.report.cache_layout import (
    lay_out_eval,
    lay_out_tune,
    render_eval_markdown,
    render_tune_markdown,
)

POINT = CurvePoint(0.9, 40, 37, 2, 0.4, 0.02, 2 / 39, (0.006, 0.173), 0.74, 1.25)
EMPTY = CurvePoint(2.0, 0, 0, 0, 0.0, 0.0, None, None, None, None)
JUDGED = Judged(
    kind="log",
    n=100,
    embedder='a "quoted" path\\x',
    fingerprint="static:1",
    normalizer="key-1",
    scorer="cosine",
    guards=("numbers",),
    candidates=8,
    input_xxh3="0" * 32,
)
EVAL = CacheEval(
    judged=JUDGED,
    auc=0.75,
    possible=50,
    unjudged_hits=3,
    at=POINT,
    operating={0.01: None, 0.05: POINT},
    curve=(EMPTY, POINT),
    guards=(GuardReport("numbers", 1, 3), GuardReport("names", 0, 0)),
    balance=BreakEven(0.03125, 1.25, 1.0, 0.25, 0.625),
    translations={"gptcache": 0.95},
    policies=(PolicyResult("vcache", None, 100, 0, 0), PolicyResult("threshold", 0.9, 100, 40, 2)),
)
ATTEMPT = Attempt(0.9, 320, 2, 1.5, 0.95, 0.0189, True, True)
TUNED = Tuned(
    threshold=0.9,
    risk=Risk(0.02),
    search=Search((ATTEMPT,), ATTEMPT),
    train_rows=0,
    calibration_rows=80,
    held_out_rows=20,
    clusters=60,
    calibrated=POINT,
    held_out=EMPTY,
    scorer=None,
    untrained=None,
)
TUNE = CacheTune(JUDGED, TUNED, seed=7, scorer_file=None, translations=None)


def cells(tables):
    return {(table.title, row[0]): row[1:] for table in tables for row in table.rows}


def test_an_evaluation_is_laid_out():
    tables = lay_out_eval(EVAL)
    found = cells(tables)
    assert found["Semantic cache: 100 questions", "AUC, before guards"] == ("0.7500",)
    assert found["Operating points", "0.01"][0] == "none"
    assert found["Operating points", "0.05"] == (
        "0.9000", "40.00 %", "2.00 %", "5.13 %", "0.60 to 17.30 %", "74.00 %",
    )  # fmt: skip
    assert found["By threshold", "2.0000"] == ("0.00 %", "0.00 %", "unknown", "", "unknown")
    assert found["Guards at 0.9", "numbers"] == ("1", "3", "75.00 %")
    assert found["Guards at 0.9", "names"] == ("0", "0", "")
    assert found["Dollars at 0.9", "net"] == ("+$0.250000",)
    assert found["Dollars at 0.9", "break-even cost of a wrong answer"] == ("$0.625000",)
    assert found["0.9 in other caches", "gptcache"] == ("similarity_threshold", "0.95")
    assert any("3 candidates" in note for note in tables[0].notes)
    assert "AUC, before guards" in render_eval_markdown(EVAL)


def test_an_evaluation_as_data_is_strict_json():
    body = json.loads(json.dumps(encode_eval(EVAL), allow_nan=False))
    assert (body["n"], body["auc"], body["schema_version"]) == (100, 0.75, 1)
    assert list(body["curve"][0]) == list(CURVE_FIELDS)
    assert body["curve"][0]["wrong_of_hits_ci95"] is None
    assert body["operating_points"][0] == {"max_wrong_of_hits": 0.01, "point": None}
    assert body["policies"][0]["wrong_of_hits"] is None
    lines = render_eval_csv(EVAL).splitlines()
    assert lines[0].split(",")[3:6] == ["wrong_of_hits", "wrong_of_hits_low", "wrong_of_hits_high"]
    assert lines[1].startswith("2.0,0.0,0.0,,,,")
    assert lines[2].split(",")[4:6] == ["0.006", "0.173"]


def test_a_tuning_is_laid_out():
    found = cells(lay_out_tune(TUNE))
    assert found["Semantic cache: 100 questions", "threshold"] == ("0.9",)
    assert found["Semantic cache: 100 questions", "  upper bound"] == ("1.89 %",)
    assert found["Thresholds tested, from high to low", "0.9000"][:2] == ("320", "2")
    body = json.loads(json.dumps(encode_tune(TUNE), allow_nan=False))
    assert (body["threshold"], body["confidence"], body["seed"]) == (0.9, 0.95, 7)
    assert body["held_out"]["hits"] == 0
    assert render_tune_csv(TUNE).splitlines()[1].startswith("0.9,320,2,1.5,0.95,")
    assert "other caches have nothing like it" in render_tune_markdown(TUNE)


def test_the_recipe_says_what_it_rests_on():
    text = write_cache_recipe(
        TUNE,
        {"ttl": 60.0, "threshold": 0.1, "invalidate": [{"at": "2026-11-02T00:00:00Z"}]},
        {"steps": ["synonyms"], "synonyms": {"buy it": ["get\x7f"]}},
    )
    recipe = tomllib.loads(text)
    assert recipe["normalize"] == {"steps": ["synonyms"], "synonyms": {"buy it": ["get\x7f"]}}
    cache = recipe["semantic_cache"]
    assert math.isclose(cache["threshold"], 0.9)
    assert (cache["embedder"], cache["ttl"]) == (JUDGED.embedder, 60.0)
    assert cache["invalidate"] == [{"at": "2026-11-02T00:00:00Z"}]
    for said in ("0.02", "confidence 0.95", "2 of 320", "0.0189", "seed 7", "0" * 32):
        assert said in text
