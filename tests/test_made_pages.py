"""The pages that are made from the program are what it says of itself."""

import re
import runpy

import pytest
from doc_pages import ROOT, commands

MADE = runpy.run_path(str(ROOT / "docs" / "make_pages.py"))["PAGES"]


@pytest.mark.parametrize("name", MADE)
def test_a_page_is_the_one_that_the_script_makes(name):
    assert (ROOT / "docs" / name).read_text("utf-8") == MADE[name](), "run docs/make_pages.py"


def test_the_reference_has_every_command_and_option():
    page = (ROOT / "docs" / "commands.md").read_text("utf-8").replace("\n### ", "\n## ")
    sections = dict(part.split("\n", 1) for part in page.split("\n## "))
    for path, command in commands():
        for option in (word for one in command.params for word in one.opts):
            assert option in sections[path] or not option.startswith("--")


def test_every_module_is_on_the_map_with_a_word_of_what_it_is():
    page = (ROOT / "docs" / "modules.md").read_text("utf-8")
    for part in page.split("\n## ")[1:]:
        folder, *lines = part.split("\n")
        named = {line.split("`")[1] for line in lines if line.startswith("- `")}
        assert named | {"__init__.py"} == {file.name for file in (ROOT / folder).glob("*.py")}
        assert all(line.split(": ", 1)[1].strip() for line in lines if line.startswith("- `"))


def test_the_map_for_contributors_has_every_package_and_no_other():
    table = (ROOT / "CONTRIBUTING.md").read_text("utf-8").split("## Map")[1].split("## How")[0]
    first = "\n".join(line.split("|")[1] for line in table.splitlines() if line.startswith("|"))
    named = set(re.findall(r"`([^`]+)`", first))
    packages = {
        file.parent.relative_to(ROOT).as_posix()
        for file in (ROOT / "frugalctl").rglob("__init__.py")
        if file.parent != ROOT / "frugalctl"
    }
    assert packages <= named
    assert all((ROOT / name).exists() for name in named)
