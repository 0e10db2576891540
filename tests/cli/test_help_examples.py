"""The examples of the help texts, run on the sample data under the names that they use."""

import gzip
import json
import re
import shutil

import pytest
from doc_pages import ROOT, commands, open_shell

SAMPLES = ROOT / "sample_data"
# a file that an example reads, and the sample that it stands for
READS = {
    "requests.jsonl": "requests.jsonl",
    "today.jsonl": "requests.jsonl",
    "log.jsonl": "requests.jsonl",
    "log.gz": "requests.jsonl",
    "logs/requests.jsonl": "requests.jsonl",
    "chats.jsonl.gz": "requests.jsonl",
    "trace.jsonl.gz": "requests.jsonl",
    "mmlu.jsonl.gz": "answers.jsonl",
    "outcomes.jsonl": "answers.jsonl",
    "tomorrow.jsonl": "answers.jsonl",
    "pairs.jsonl": "pairs.jsonl",
    "groups.jsonl": "groups.jsonl",
    "prompt.txt": "prompts/rag.txt",
    "p.md": "prompts/rag.txt",
    "prompts/chat.json": "prompts/support-chat.json",
    "prompts/support.md": "prompts-ci/v2/support.md",
    "support.jsonl": "prompts-ci/log.jsonl",
    "prompts.jsonl": "prompts/prompts.jsonl",
    "cases.jsonl": "prompts/cases.jsonl",
    "items.jsonl": "prompts/messages.jsonl",
    "queries.jsonl": "prompts/messages.jsonl",
    "prompts.txt": "prompts/review.md",
    "questions.jsonl": "groups.jsonl",
    "instruction.txt": "prompts/sort.txt",
    "answers.jsonl": "prompts/answers.jsonl",
    "pool.jsonl": "prompts/exemplars.jsonl",
    "recipe.toml": "../recipes/faq-cascade.toml",
    "cascade.toml": "../recipes/faq-cascade.toml",
    "cache.toml": "../recipes/semantic-cache.toml",
}


def example_lines(command):
    _, _, told = (command.help or "").partition("\b\nExamples:\n")
    return [line.strip() for line in told.strip().split("\n") if line.strip()]


COMMANDS = {
    path: example_lines(command)
    for path, command in commands()
    if not getattr(command, "commands", None)
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with every file that an example reads and none writes."""
    folder = tmp_path_factory.mktemp("examples")
    for name, sample in READS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        content = (SAMPLES / sample).read_bytes()
        packed = gzip.compress(content) if name.endswith("gz") else content
        (folder / name).write_bytes(packed)
    foreign = (ROOT / "tests/log/formats/samples.jsonl").read_text("utf-8").splitlines()
    for case in map(json.loads, foreign):
        if case["format"] == "LiteLLM payload":
            write_lines(folder / "litellm.jsonl", case["records"])
        if case["format"] == "OpenAI batch":
            for name, record in zip(("input", "output"), case["records"], strict=True):
                write_lines(folder / f"batch_{name}.jsonl", [record])
    tried = [
        {"id": f"t{at}", "exemplars": 2 * (at % 3), "quality": 1.0, "cost_usd": 0.001}
        for at in range(180)
    ]
    write_lines(folder / "tried.jsonl", tried)
    return folder


def write_lines(path, records):
    path.write_text("".join(json.dumps(one) + "\n" for one in records), "utf-8")


@pytest.fixture
def folder(files, tmp_path):
    return shutil.copytree(files, tmp_path / "here")


# what stands in the folder before the examples of a command, from other commands
BEFORE = {
    "cache": ["cache build requests.jsonl -o idx/"],
    "report": ["replay requests.jsonl --recipe recipe.toml -o run.parquet"],
    "diff": ["replay today.jsonl --recipe recipe.toml --json -o head.json"],
    "check": ["replay log.jsonl --json -o base.json"],
}


def prepare(path, shell):
    for line in BEFORE.get(path.split()[1], []):
        assert shell(f"frugalctl {line}").code == 0


@pytest.mark.parametrize("path", COMMANDS)
def test_the_examples_of_a_command_work(folder, path):
    shell = open_shell(folder)
    prepare(path, shell)
    for line in COMMANDS[path]:
        if "jq " in line and shutil.which("jq") is None:
            continue
        result = shell(line)
        fine = (0, 1) if path == "frugalctl check" else (0,)
        assert result.code in fine, f"{line}\n{result.printed}"


@pytest.mark.parametrize("path", COMMANDS)
def test_a_command_has_an_example_of_itself(path):
    assert any(re.search(rf"\b{path}\b", line) for line in COMMANDS[path])
