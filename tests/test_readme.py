"""The README's commands, run as they stand there; what it shows must be what they print."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
CUT = "[...]"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def shown_commands():
    """Each (command, what the README shows of its output, the exit code it shows or None).

    The commands before it in its block are a fourth item: it may need what they wrote.
    """
    found = []
    for block in blocks("console"):
        earlier = []
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            if command == "echo $?":
                found[-1] = (*found[-1][:2], int(output), found[-1][3])
            else:
                found.append((command, output, None, tuple(earlier)))
                earlier.append(command)
    return found


def plain_scripts():
    """The blocks after the set-up, whole: a command may need the one before it."""
    return blocks("sh")[2:]


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """Runs a command line where a reader would, but in a folder that may be written to."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("sample_data", "recipes"):
        (folder / name).symlink_to(ROOT / name)
    program = folder / "bin" / "frugalctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m frugalctl "$@"\n')
    program.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if "FRUGALCTL" not in name}
    kept.pop("FORCE_COLOR", None)
    kept |= {"PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    kept |= {"COLUMNS": "100", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1", "LC_ALL": "C.UTF-8"}

    def run(command):
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=folder,
            env=kept,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    return run


def trim(text):
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def matches(shown, printed):
    """Whether the parts around the cuts stand in the output in this order, at both its ends."""
    parts = [re.escape(trim(part)) for part in trim(shown).split(CUT)]
    return re.fullmatch(".*".join(parts), trim(printed), re.DOTALL) is not None


@pytest.mark.parametrize(
    ("command", "shown", "code", "earlier"),
    shown_commands(),
    ids=[item[0] for item in shown_commands()],
)
def test_the_readme_shows_what_is_printed(shell, command, shown, code, earlier):
    for other in earlier:
        shell(other)
    result = shell(command)
    assert len(trim(shown)) > 2 * len(CUT), "nothing is shown"
    assert matches(shown, result.stdout), result.stdout
    if code is not None:
        assert result.returncode == code


@pytest.mark.parametrize("script", plain_scripts())
def test_the_commands_of_the_readme_work(shell, script):
    result = shell(f"set -e\n{script}")
    assert result.returncode == 0, result.stdout


def test_the_first_screen_holds_the_two_setup_commands():
    first = README.split("```console")[0]
    fences = re.findall(r"^```sh\n(.*?)^```$", first, re.DOTALL | re.MULTILINE)
    assert [fence.count("\n") for fence in fences] == [1, 1]
    assert all(fence.startswith("python3 -m venv .venv && ") for fence in fences)
    assert first.count("\n") < 25
    assert fences[0].strip().endswith(shown_commands()[0][0])
    assert "pytest" in fences[1]


def test_the_recipe_of_the_readme_is_the_one_that_was_run():
    (recipe,) = blocks("toml")
    assert recipe in (ROOT / "recipes" / "faq-cascade.toml").read_text("utf-8")


def test_the_example_line_of_the_readme_is_a_valid_log(shell, tmp_path):
    (example,) = blocks("json")
    log = tmp_path / "example.jsonl"
    log.write_text(example.replace("\n", " ") + "\n", "utf-8")
    result = shell(f"frugalctl log validate {shlex.quote(str(log))}")
    assert result.returncode == 0, result.stdout
    assert "unknown field" not in result.stdout


PROSE = re.sub(r"^```.*?^```$", "", README, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("target", re.findall(r"\]\((?!https?:)([^)#]+)\)", PROSE))
def test_the_files_that_the_readme_links_exist(target):
    assert (ROOT / target).exists()


def test_the_folders_of_the_map_exist():
    table = README.split("## Map")[1]
    named = re.findall(r"`([\w/]+)`", table)
    assert len(named) > 8
    assert all((ROOT / name).is_dir() for name in named)
