import json
from pathlib import Path

import pytest

from frugalctl.levers.cascade import CascadePolicy
from frugalctl.replay.recipe import Recipe
from frugalctl.replay.run import ReplayOptions, replaying
from frugalctl.report.encode import render_json
from frugalctl.report.summary import summarise

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "cascade"


@pytest.mark.parametrize(
    ("name", "models", "thresholds", "quality", "cost_usd", "latency_ms", "calls"),
    [
        (
            "mmlu.test",
            ("gpt-4o-mini", "llama3.1-405b"),
            (-0.1,),
            0.788751,
            0.17505585,
            499.169,
            {"gpt-4o-mini": 1529, "llama3.1-405b": 218},
        ),
        (
            "medmcqa.test",
            ("llama3.1-8b", "llama3.1-70b", "gpt-4o"),
            (-0.05, -0.02),
            0.751,
            0.3450864,
            578.6,
            {"llama3.1-8b": 1000, "llama3.1-70b": 722, "gpt-4o": 486},
        ),
    ],
)
def test_published_cascades_to_all_digits(
    name, models, thresholds, quality, cost_usd, latency_ms, calls
):
    file = DATA / f"{name}.jsonl.gz"
    if not file.exists():
        pytest.skip(f"{file.name} is not beside this checkout")
    recipe = Recipe("cascade", CascadePolicy(models, thresholds))
    with replaying([str(file)], ReplayOptions(recipe=recipe, prices="log")) as run:
        text = render_json(summarise(run.batches, run.finish))
    report = json.loads(text)
    assert f'"cost_usd": {cost_usd!r},' in text
    assert report["recipe"]["cost_usd"] == cost_usd
    assert round(report["recipe"]["quality"]["mean"], 6) == quality
    digits = len(str(latency_ms).split(".")[1])
    assert round(report["recipe"]["latency_ms"]["mean"], digits) == latency_ms
    assert {item["model"]: item["calls"] for item in report["models"]} == calls
    assert report["log"]["uncovered"] == 0
