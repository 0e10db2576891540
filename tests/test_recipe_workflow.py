"""The GitHub workflow among the recipes: each step is run, in order, as GitHub would."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field

import pytest
import yaml
from recipe_shell import RECIPES, SAMPLES, dump, needs_jq, rows_of, shell, write_program

TEXT = (RECIPES / "github-workflow.yml").read_text("utf-8")
WORKFLOW = yaml.safe_load(TEXT)
LOG = SAMPLES / "requests.jsonl"
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
# A `gh` that keeps comments in a file and understands what the workflow asks of it.
GH = """
import json, subprocess, sys
from pathlib import Path
path, given = Path("../comments.json"), sys.argv[1:]
comments = json.loads(path.read_text()) if path.exists() else []
assert given.pop(0) == "api"
if "--jq" in given:
    query = ["jq", "-r", given[given.index("--jq") + 1]]
    raise SystemExit(subprocess.run(query, input=json.dumps(comments), text=True).returncode)
body = Path(next(word for word in given if word.startswith("body=@"))[6:]).read_text("utf-8")
if "PATCH" in given:
    (number,) = (int(word.rsplit("/", 1)[1]) for word in given if "/issues/comments/" in word)
    (comment,) = (comment for comment in comments if comment["id"] == number)
    comment["body"] = body
else:
    assert "repos/acme/bot/issues/7/comments" in given
    user = {"login": "github-actions[bot]"}
    comments.append({"id": 100 + len(comments), "body": body, "user": user})
path.write_text(json.dumps(comments))
"""


@dataclass
class Result:
    """What a job did: the step that failed, if one did, and what each printed."""

    failed: str | None = None
    printed: dict = field(default_factory=dict)
    kept: tuple = ()
    summary: str = ""


class Repository:
    """A repository with what the workflow expects, and the parts of GitHub that it uses."""

    def __init__(self, folder):
        self.source = "./vendor/frugalctl"
        self.home = folder
        self.path = folder / "bot"
        self.cache = {}
        self.path.mkdir()
        real = f'"{sys.executable}"'
        install = f'[ "$1 $2" = "-m pip" ] && echo "$*" >>../installed || exec {real} "$@"'
        write_program(self.path, "python", install)
        write_program(self.path, "gh", f'exec {real} -c {shlex.quote(GH)} "$@"')
        self.git("init", "-q", "-b", "main")
        (self.path / ".git" / "info" / "exclude").write_text("/bin/\n")

    def git(self, *arguments):
        name = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        subprocess.run(["git", *name, *arguments], cwd=self.path, check=True, capture_output=True)

    def commit(self, files):
        for name, text in files.items():
            path = self.path / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text)
            path.chmod(0o755 if name.endswith(".sh") else 0o644)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "change")

    def run(self, job, event):
        """Run one job for a push to main, or for a pull request of this repository."""
        self.git("update-ref", "refs/remotes/origin/main", "main")
        self.git("clean", "-fdq")
        result, summary = Result(), self.home / "summary.md"
        summary.write_text("")
        told = {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_OUTPUT": str(self.home / "output")}
        told |= {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "acme/bot", "CI": "true"}
        told |= {"GITHUB_BASE_REF": "main"} if event == "pull_request" else {}
        for step in WORKFLOW["jobs"][job]["steps"]:
            if not self.wanted(step.get("if", "success()"), event, result):
                continue
            if "run" in step:
                env = {
                    k: self.fill(v) for k, v in {**WORKFLOW["env"], **step.get("env", {})}.items()
                } | {"FRUGALCTL": self.source}
                bash = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")
                done = shell(self.path, *bash, step["run"], **told, **env)
                result.printed[step["name"]] = done.stdout + done.stderr
                if done.returncode:
                    result.failed = result.failed or step["name"]
            else:
                self.use(step, result)
        result.summary = summary.read_text("utf-8")
        return result

    def wanted(self, condition, event, result):
        """Whether a step runs; a condition that the test does not know is an error."""
        text = condition.removeprefix("${{").removesuffix("}}")
        known = {
            "success()": not result.failed,
            "!cancelled()": True,
            "github.event_name == 'pull_request'": event == "pull_request",
            "github.event_name == 'push'": event == "push",
            "hashFiles('comment.md') != ''": (self.path / "comment.md").exists(),
        }
        parts = [part.strip() for part in text.split("&&")]
        status = {"success()", "!cancelled()"} & set(parts)
        return all(known[part] for part in (parts if status else ["success()", *parts]))

    def fill(self, value):
        known = {"github.token": "t", "github.event.pull_request.number": "7"}
        known |= {"secrets.OPENAI_API_KEY": "k"}
        return EXPRESSION.sub(lambda found: known[found[1]], str(value))

    def use(self, step, result):
        action, given = step["uses"].split("@")[0], step.get("with", {})
        if action == "actions/cache/restore" and self.cache:
            (self.path / given["path"]).write_bytes(self.cache[given["restore-keys"]])
        elif action == "actions/cache/save":
            prefix = EXPRESSION.sub("", given["key"])
            self.cache[prefix] = (self.path / given["path"]).read_bytes()
        elif action == "actions/upload-artifact":
            names = given["path"].split()
            result.kept = tuple(name for name in names if (self.path / name).exists())

    def comments(self):
        return json.loads((self.home / "comments.json").read_text("utf-8"))


@pytest.fixture
def repository(tmp_path):
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    return Repository(tmp_path)


def test_it_asks_for_the_least_and_pins_what_it_uses():
    jobs = WORKFLOW["jobs"]
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert "permissions" not in jobs["prompts"]
    assert jobs["budget"]["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert set(WORKFLOW[True]) == {"push", "pull_request"}, "yaml reads `on` as true"
    assert WORKFLOW["concurrency"]["group"] and WORKFLOW["defaults"]["run"]["shell"] == "bash"
    steps = [step for job in jobs.values() for step in job["steps"]]
    for step in steps:
        if "uses" in step:
            assert re.fullmatch(r"actions/[\w/-]+@v\d+", step["uses"])
        else:
            assert "${{" not in step["run"], "what others wrote must not become a command"
        if step.get("uses", "").startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] is False
    assert all(job["timeout-minutes"] <= 30 for job in jobs.values())
    secret = [step for step in steps if "secrets." in str(step)]
    assert [step["name"] for step in secret] == ["Evaluate"]


def dearer(rows):
    """The same questions, all of them sent to the dearest model."""
    changed = {"model": "claude-opus-5", "provider": "anthropic"}
    plain = [{key: value for key, value in row.items() if key != "outcomes"} for row in rows]
    return [row | changed if row["task"] == "faq" else row for row in plain]


@needs_jq
def test_a_budget_turns_red_and_green_again(repository):
    rows = rows_of(LOG)
    script = b"#!/bin/sh\ncat evals/log.jsonl\n"
    repository.commit({"evals/run.sh": script, "evals/log.jsonl": dump(rows)})
    main = repository.run("budget", "push")
    assert main.failed is None, main.printed
    assert set(main.kept) == {"base.parquet", "run.parquet", "report.html"}
    assert "frugalctl" in (repository.home / "installed").read_text()
    assert not (repository.home / "comments.json").exists()

    other = {"id": 1, "body": "<!-- frugalctl --> by someone", "user": {"login": "mallory"}}
    (repository.home / "comments.json").write_text(json.dumps([other]))
    repository.git("checkout", "-q", "-b", "change")
    repository.commit({"evals/log.jsonl": dump(dearer(rows))})
    red = repository.run("budget", "pull_request")
    assert red.failed == "Check the budget"
    said = red.printed["Check the budget"]
    errors = [line for line in said.splitlines() if line.startswith("::error")]
    assert len(errors) == 1 and "cost_usd" in errors[0]
    kept, comment = repository.comments()
    assert kept == other
    for text in (comment["body"], red.summary):
        assert "cost_usd > +5%" in text and "+13.9 %" in text
    assert set(red.kept) == {"base.parquet", "run.parquet", "report.html"}

    repository.commit({"evals/log.jsonl": dump(rows)})
    green = repository.run("budget", "pull_request")
    assert green.failed is None, green.printed
    assert "::error" not in green.printed["Check the budget"]
    kept, comment = repository.comments()
    assert kept == other
    assert "+13.9 %" not in comment["body"]


@pytest.mark.parametrize("source", ["", "frugalctl", "frugalctl==0.1.0", "git+https://host/it"])
def test_where_to_install_from_has_to_be_filled_in(repository, source):
    assert WORKFLOW["env"] == {"FRUGALCTL": ""} and "fill in FRUGALCTL" in TEXT
    repository.commit({"README.md": b""})
    repository.source = source
    for job in ("prompts", "budget"):
        result = repository.run(job, "pull_request")
        assert result.failed == "Install frugalctl"
        assert "::error::fill in FRUGALCTL" in result.printed["Install frugalctl"]
    assert not (repository.home / "installed").exists()


@needs_jq
def test_an_evaluation_that_fails_leaves_no_comment(repository):
    repository.commit({"README.md": b""})
    result = repository.run("budget", "pull_request")
    assert result.failed == "Evaluate"
    assert set(result.printed) == {"Install frugalctl", "Evaluate"}
    assert result.kept == ()


def test_a_prompt_turns_red_and_green_again(repository):
    rows = [row for row in rows_of(LOG) if row["tenant"] == "hanok-market"]
    (prompt,) = {row["messages"][0]["content"] for row in rows}
    files = {"prompts/support.md": f"{prompt}\n".encode(), "logs/requests.jsonl": dump(rows)}
    repository.commit(files)

    repository.git("checkout", "-q", "-b", "change")
    same = repository.run("prompts", "pull_request")
    assert same.failed is None, same.printed
    assert "no prompt has changed" in same.printed["Price the change of the prompts"]

    stamped = f"It is {{now}}.\n{prompt}\n".encode()
    repository.commit({"prompts/support.md": stamped})
    red = repository.run("prompts", "pull_request")
    assert red.failed == "Price the change of the prompts"
    said = red.printed[red.failed]
    assert "::error" in said and "cost_usd > +5%" in said
    reason = "prompts/support.md:1: {now} changes with every request"
    assert f"::notice file=prompts/support.md,line=1,title=prompts::{reason}" in said
    assert reason in red.summary and "cost_usd > +5%" in red.summary

    repository.commit({"prompts/support.md": f"{prompt}\nBe brief.\n".encode()})
    green = repository.run("prompts", "pull_request")
    assert green.failed is None, green.printed
    assert "::error" not in green.printed["Price the change of the prompts"]
