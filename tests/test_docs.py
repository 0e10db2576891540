"""The commands of the documentation, run as they stand there, and its links."""

import re
import shutil

import pytest
from doc_pages import CUT, PAGES, ROOT, anchors, blocks, matches, name_of, open_shell, prose, steps

SET_UP = "python3 -m venv"
LINKED = [*PAGES, *(ROOT / name / "README.md" for name in ("sample_data", "benchmarks"))]
LINKED += [ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]


def numbered(language):
    return [
        pytest.param(block, id=f"{name_of(page)}-{at}")
        for page in PAGES
        for at, block in enumerate(blocks(page, language), 1)
        if SET_UP not in block
    ]


@pytest.fixture
def shell(tmp_path):
    return open_shell(tmp_path)


def need_tools(block):
    if "jq " in block and shutil.which("jq") is None:
        pytest.skip("jq is not installed")


@pytest.mark.parametrize("block", numbered("console"))
def test_a_page_shows_what_is_printed(shell, block):
    need_tools(block)
    for step in steps(block):
        result = shell(step.command)
        assert matches(step.shown, result.printed), result.printed
        assert step.shown.strip() != CUT, "nothing is shown"
        if step.code is not None or "frugalctl: " not in step.shown:
            assert result.code == (step.code or 0)


@pytest.mark.parametrize("block", numbered("sh"))
def test_the_commands_of_a_page_work(shell, block):
    need_tools(block)
    result = shell(block)
    assert result.code == 0, result.printed


def links():
    return [
        pytest.param(page, target, id=f"{name_of(page)}-{target}")
        for page in LINKED
        for target in dict.fromkeys(re.findall(r"\]\(([^)\s]+)\)", prose(page)))
        if not target.startswith(("https:", "http:", "mailto:"))
    ]


@pytest.mark.parametrize(("page", "target"), links())
def test_a_link_leads_somewhere(page, target):
    path, _, anchor = target.partition("#")
    found = page.parent / path if path else page
    assert found.exists()
    if anchor:
        assert anchor in anchors(found)


def test_no_link_is_overlooked():
    assert len(links()) > 30
