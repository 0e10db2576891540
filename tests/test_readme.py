"""What the README promises beyond its commands, which test_docs.py runs."""

import re
import shlex
import tomllib

from doc_pages import PAGES, ROOT, blocks, name_of, open_shell, steps

README = ROOT / "README.md"


def test_the_first_screen_holds_the_two_setup_commands():
    first = README.read_text("utf-8").split("```console")[0]
    fences = re.findall(r"^```sh\n(.*?)^```$", first, re.DOTALL | re.MULTILINE)
    assert [fence.count("\n") for fence in fences] == [1, 1]
    assert all(fence.startswith("python3 -m venv .venv && ") for fence in fences)
    assert first.count("\n") < 25
    assert fences[0].strip().endswith(steps(blocks(README, "console")[0])[0].command)
    assert "pytest" in fences[1]


def test_the_readme_leads_to_every_page():
    targets = set(re.findall(r"\]\(([\w./-]+\.md)", README.read_text("utf-8")))
    assert targets >= {name_of(page) for page in PAGES[1:]}


def test_the_recipe_of_the_documentation_is_the_one_that_was_run():
    recipe = blocks(ROOT / "docs" / "cascades.md", "toml")[0]
    assert recipe in (ROOT / "recipes" / "faq-cascade.toml").read_text("utf-8")


def test_the_example_line_of_the_documentation_is_a_valid_log(tmp_path):
    (example,) = blocks(ROOT / "docs" / "log.md", "json")
    log = tmp_path / "example.jsonl"
    log.write_text(example.replace("\n", " ") + "\n", "utf-8")
    result = open_shell(tmp_path)(f"frugalctl log validate {shlex.quote(str(log))}")
    assert result.code == 0, result.printed
    assert "unknown field" not in result.printed


def test_the_configuration_of_the_documentation_is_taken(tmp_path):
    (example,) = blocks(ROOT / "docs" / "shell.md", "toml")
    (tmp_path / "frugalctl.toml").write_text(example, "utf-8")
    result = open_shell(tmp_path)("frugalctl prices cost --model gpt-4o --input 10 --output 5")
    assert result.code == 0, result.printed
    assert "batch" in result.printed


def test_every_dependency_and_extra_is_explained():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    packages = {re.match(r"[\w-]+", one).group() for one in project["dependencies"]}
    tables = (ROOT / "docs" / "install.md").read_text("utf-8").split("## ")
    rows = "\n".join(re.findall(r"^\| ([^|]+) \|", tables[2], re.MULTILINE))
    assert packages <= set(re.findall(r"[\w-]+", rows))
    extras = "\n".join(re.findall(r"^\| ([^|]+) \|", tables[1], re.MULTILINE))
    assert set(re.findall(r"`([\w-]+)`", extras)) == set(project["optional-dependencies"])
