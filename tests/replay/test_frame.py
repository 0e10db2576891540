import subprocess
import sys
from pathlib import Path

import pytest

import frugalctl
from frugalctl.cli.app import run_command
from frugalctl.errors import InputError
from frugalctl.replay.ledger import open_ledger
from frugalctl.report.summary import summarise

SAMPLE = "sample_data/requests.jsonl"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("frame") / "run.parquet")
    recipe = str(ROOT / "recipes" / "faq-cascade.toml")
    assert run_command(["-q", "replay", str(ROOT / SAMPLE), "-r", recipe, "-o", path]) == 0
    return path


def test_the_frame_says_what_the_report_says(ledger):
    frame = frugalctl.read_ledger(ledger)
    meta, batches = open_ledger(ledger)
    report = summarise(batches, lambda: meta)
    assert len(frame) == report.log.requests
    priced = frame[frame.covered & frame.unpriced.isna()]
    assert len(priced) == report.log.priced
    for name in ("baseline", "recipe"):
        side = getattr(report, name)
        assert priced[f"{name}_cost_usd"].sum() == pytest.approx(side.cost_usd)
        assert frame[f"{name}_quality"].mean() == pytest.approx(side.quality.mean)
        assert frame[f"{name}_quality"].count() == side.quality.n
        for key, count in side.tokens.items():
            assert frame[f"{name}_{key}_tokens"].sum() == count
    assert frame.calls.sum() == sum(model.calls for model in report.models)
    tasks = frame.groupby("task", observed=True).size()
    assert tasks["faq"] == 197
    assert frame.attrs["recipe"] == "faq-cascade" and frame.attrs["levers"] == ("cascade",)


def test_columns_have_the_kinds_that_notebooks_want(ledger):
    frame = frugalctl.read_ledger(ledger)
    kinds = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert kinds["task"] == kinds["recipe_model"] == "category"
    assert kinds["timestamp"].endswith("UTC]")
    assert kinds["recipe_output_tokens"] == "Int64"
    assert frame.loc[~frame.covered, "recipe_output_tokens"].isna().all()
    # every column of the docstring is there, or depends on the recipe
    assert {"id", "session", "covered", "usage_estimated", "after_cascade_usd"} <= set(kinds)


def test_without_levers_the_recipe_is_the_baseline(tmp_path):
    path = str(tmp_path / "run.parquet")
    assert run_command(["-q", "replay", str(ROOT / SAMPLE), "-o", path]) == 0
    frame = frugalctl.read_ledger(path)
    assert (frame.recipe_cost_usd.dropna() == frame.baseline_cost_usd.dropna()).all()
    assert len(frame.recipe_cost_usd.dropna()) > 400


def test_what_is_no_ledger_is_refused(tmp_path):
    with pytest.raises(InputError):
        frugalctl.read_ledger(str(ROOT / SAMPLE))


def test_importing_the_package_stays_light():
    heavy = ("pandas", "pyarrow", "numpy", "matplotlib", "jinja2")
    program = f"import sys, frugalctl; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
