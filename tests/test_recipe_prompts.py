"""The shell recipe that prices a change of prompts, in a repository of its own."""

import shutil

import pytest
from recipe_shell import RECIPES, SAMPLES, dump, read_head, rows_of, shell

SCRIPT = RECIPES / "ci-prompts.sh"


@pytest.fixture
def prompts(tmp_path):
    """A repository with a prompt, the log that was made with it, and a branch."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    rows = [row for row in rows_of(SAMPLES / "requests.jsonl") if row["tenant"] == "hanok-market"]
    (prompt,) = {row["messages"][0]["content"] for row in rows}
    (tmp_path / "log.jsonl").write_bytes(dump(rows))
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "support.md").write_text(f"{prompt}\n", "utf-8")
    for command in ("init -q -b main", "add prompts", "commit -q -m 1", "checkout -q -b change"):
        git(tmp_path, *command.split())
    return tmp_path, prompt


def git(folder, *arguments):
    name = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    done = shell(folder, "git", *name, *arguments)
    assert done.returncode == 0, done.stderr


def test_a_changed_prompt_is_red_and_its_fix_is_green(prompts):
    folder, prompt = prompts
    head = read_head(SCRIPT)
    file = folder / "prompts" / "support.md"

    def check():
        return shell(folder, SCRIPT, "prompts", "log.jsonl", "main")

    same = check()
    assert (same.returncode, same.stdout) == (0, "")
    assert "no prompt has changed since main" in same.stderr

    file.write_text(f"It is {{now}}.\n{prompt}\n", "utf-8")
    git(folder, "commit", "-q", "-a", "-m", "2")
    red = check()
    assert red.returncode == 1, red.stderr
    assert "cost_usd > +5%" in red.stderr
    words = " ".join(red.stdout.split())
    assert "prompts/support.md:1: {now} changes with every request" in words
    assert '"It is {now}.": red, $0.6889 -> $1.0923 (+58.6 %), $2.9954 -> $4.7497 a month' in head
    assert "$2.9954 -> $4.7497 +58.6 %" in words and "$0.688873 -> $1.0923 +58.6 %" in words

    file.write_text(f"{prompt}\nBe brief.\n", "utf-8")
    git(folder, "commit", "-q", "-a", "-m", "3")
    green = check()
    assert green.returncode == 0, green.stderr
    assert "+0.3 %" in green.stdout and '"Be brief." as a last line instead: green, +0.3 %' in head


def test_what_others_merged_is_not_charged_to_the_branch(prompts):
    folder, prompt = prompts
    git(folder, "checkout", "-q", "main")
    (folder / "prompts" / "support.md").write_text(f"It is {{now}}.\n{prompt}\n", "utf-8")
    git(folder, "commit", "-q", "-a", "-m", "others")
    git(folder, "checkout", "-q", "change")
    result = shell(folder, SCRIPT, "prompts", "log.jsonl", "main")
    assert (result.returncode, result.stdout) == (0, "")


def test_a_branch_that_does_not_exist_is_an_error(prompts):
    folder, _ = prompts
    result = shell(folder, SCRIPT, "prompts", "log.jsonl", "nowhere")
    assert result.returncode == 2 and "nowhere" in result.stderr
