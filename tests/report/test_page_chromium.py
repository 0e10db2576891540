"""The page in a real browser: Debian's chromium, headless, with axe-core.

The page is put into frames of two widths, each with axe-core, which reports to the page around
them; chromium prints what that page holds at the end.
"""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest
from page_cases import SAMPLE, SINGLES, render
from test_renderers import HOSTILE, sample_rows

from frugalctl.cli.app import run_command

CHROMIUM = shutil.which("chromium")
axe_core_python = pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

AXE = Path(axe_core_python.__file__).parent / "axe.min.js"
RUN_AXE = """
<script>{axe}</script>
<script>
addEventListener("load", () => axe.run(document).then(found => parent.postMessage({{
  name: window.name,
  violations: found.violations.map(one => one.id + ": " + one.nodes[0].html),
  passes: found.passes.length,
  loaded: performance.getEntriesByType("resource").map(entry => entry.name),
  wide: document.documentElement.scrollWidth > innerWidth,
}}, "*")));
</script>
"""
AROUND = """<!DOCTYPE html><html lang="en"><title>frames</title>
<pre id="found"></pre>
<script>
const found = {{}};
addEventListener("message", event => {{
  found[event.data.name] = event.data;
  document.getElementById("found").textContent = JSON.stringify(found);
}});
</script>
<iframe src="page.html" title="as it is" width="800" height="600"></iframe>
{frames}
"""
CSP = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>\n')


def browse(folder, page, *, dark=False, widths=(1280, 400)):
    """What axe-core finds at each width, and what chromium wrote to its console."""
    assert CHROMIUM is not None
    script = RUN_AXE.format(axe=AXE.read_text("utf-8"))
    (folder / "page.html").write_text(page, "utf-8")
    # the page itself lets no script run
    checked = CSP.sub("", page, count=1).replace("</body>", f"{script}</body>")
    assert checked.count("axe.run(document)") == 1 and "Content-Security-Policy" not in checked
    (folder / "checked.html").write_text(checked, "utf-8")
    frames = "".join(
        f'<iframe src="checked.html" name="{width}" title="{width}" width="{width}" height="800">'
        "</iframe>"
        for width in widths
    )
    (folder / "around.html").write_text(AROUND.format(frames=frames), "utf-8")
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr")
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    done = subprocess.run(
        [
            CHROMIUM,
            *options,
            scheme,
            f"--user-data-dir={folder / 'profile'}",
            "--window-size=1400,1000",
            "--virtual-time-budget=60000",
            "--dump-dom",
            (folder / "around.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    printed = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert printed and printed[1], done.stderr[-2000:]
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(unescape(printed[1])), console


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    recipe = folder / "both.toml"
    recipe.write_text(
        "[semantic_cache]\nthreshold = 0.98\n"
        '[cascade]\nmodels = ["gemini-2.5-flash", "claude-opus-5"]\nthresholds = [-0.2]\n'
        'score = "confidence"\n',
        "utf-8",
    )
    out = folder / "report.html"
    assert (
        run_command(["replay", str(SAMPLE), "-r", str(recipe), "--show-text", "-o", str(out)]) == 0
    )
    return out.read_text("utf-8")


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_and_nothing_is_loaded(page, tmp_path, dark):
    found, console = browse(tmp_path, page, dark=dark)
    assert set(found) == {"1280", "400"}
    for one in found.values():
        assert one["violations"] == []
        assert one["passes"] > 20
        assert one["loaded"] == []
        assert not one["wide"]
    assert console == []


def test_hostile_names_do_nothing(tmp_path):
    script = f"{HOSTILE}<script>console.log('run')</script><img src=x onerror=console.log('x')>"
    rows = sample_rows(script, tenant=script, id=script)
    found, console = browse(tmp_path, render(rows, singles=SINGLES, recipe=script), widths=(400,))
    assert found["400"]["loaded"] == [] and console == []
    assert found["400"]["violations"] == []


def test_the_check_sees_what_it_should(tmp_path):
    bad = '<img src="http://127.0.0.1:9/missing.png"><script>console.log("run")</script>'
    page = render(sample_rows()).replace("</main>", f"{bad}</main>")
    found, console = browse(tmp_path, page, widths=(1280,))
    assert any(one.startswith("image-alt") for one in found["1280"]["violations"])
    assert any("missing.png" in name for name in found["1280"]["loaded"])
    assert any("run" in line for line in console)
