"""No command writes over a file that it reads, and nothing is done before that is sure."""

import json

import pytest
from cli_cases import complain_lines, row, run, write_log

RECIPE = '[prompt_cache]\nprovider = "openai"\n'
CHECK = ("check", "log.jsonl", "--fail-if", "cost_usd > 9")


@pytest.fixture
def folder(tmp_path):
    said = [{"role": "system", "content": "Be kind, Ann."}, {"role": "user", "content": "hi"}]
    write_log(tmp_path / "log.jsonl", messages=said)
    (tmp_path / "rec.toml").write_text(RECIPE)
    (tmp_path / "prompts" / "deep").mkdir(parents=True)
    (tmp_path / "prompts" / "support.md").write_text("Be kind, {{ name }}.\n")
    (tmp_path / "prompts" / "notes.json").write_text("{}\n")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "support.md").write_text("Be kind, {{ name }}.\n")
    (tmp_path / "pairs.jsonl").write_text(
        "".join(
            json.dumps({"a": f"a{n}", "b": f"b{n}", "same": n % 2 == 0}) + "\n" for n in range(9)
        )
    )
    return tmp_path


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(folder, *arguments):
    before = contents(folder)
    result = run(*arguments, cwd=folder)
    assert (result.returncode, result.stdout) == (2, b""), result
    assert "is both an input and the output" in complain_lines(result)[0]
    assert contents(folder) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay", "log.jsonl", "--recipe", "rec.toml", "--json", "-o", "rec.toml"),
        (*CHECK, "--recipe", "rec.toml", "-o", "./rec.toml"),
        ("normalize", "pairs.jsonl", "--recipe", "rec.toml", "-o", "rec.toml"),
        ("cache", "tune", "pairs.jsonl", "--recipe", "rec.toml", "-o", "rec.toml"),
        ("cache", "eval", "pairs.jsonl", "--recipe", "rec.toml", "--scores", "pairs.jsonl"),
        ("optimize", "log.jsonl", "--front", "log.jsonl"),
        ("compress", "prompts/support.md", "--report", "prompts/support.md"),
        ("log", "stats", "log.jsonl", "-o", "log.jsonl"),
    ],
)
def test_what_a_command_reads_is_never_its_output(folder, arguments):
    refused(folder, *arguments)


def test_the_configuration_is_an_input(folder):
    (folder / "frugalctl.toml").write_text("[replay]\nseed = 1\n")
    (folder / "pyproject.toml").write_text("[project]\nname = 'a'\n")
    for name in ("frugalctl.toml", "pyproject.toml"):
        refused(folder, "replay", "log.jsonl", "--json", "-o", name)
    (folder / "frugalctl.toml").write_text("[replay]\nrecipe = 'rec.toml'\n")
    refused(folder, "replay", "log.jsonl", "--json", "-o", "rec.toml")


@pytest.mark.parametrize("target", ["support.md", "new.md", "deep/new.txt", "prompts.toml"])
@pytest.mark.parametrize("inside", ["prompts", "old"])
def test_nothing_is_written_into_a_folder_of_prompts(folder, inside, target):
    check = ("check", "prompts", "--against", "log.jsonl", "--base", "old")
    refused(folder, *check, "--fail-if", "cost_usd > 9", "-o", f"{inside}/{target}")


def test_what_is_no_template_may_stand_beside_the_prompts(folder):
    check = ("check", "prompts", "--against", "log.jsonl", "--base", "old")
    result = run(*check, "--fail-if", "cost_usd > 9", "-o", "prompts/found.json", cwd=folder)
    assert result.returncode == 0
    assert (folder / "prompts" / "found.json").exists()


def test_a_page_is_not_written_over_the_log_that_it_shows(folder):
    assert run("replay", "log.jsonl", "-o", "run.parquet", cwd=folder).returncode == 0
    page = ("report", "run.parquet", "--show-text", "--format", "html")
    refused(folder, *page, "-o", "log.jsonl")
    refused(folder, *page, "--log", "log.jsonl", "-o", "./log.jsonl")
    assert run(*page, "-o", "page.html", cwd=folder).returncode == 0


def test_texts_that_name_no_file_are_no_inputs(folder):
    long = " ".join(["cost_usd > 9"] + [f"{' ' * 9000}"])
    result = run("check", "log.jsonl", "--fail-if", long, "-o", "out.json", cwd=folder)
    assert b"File name too long" not in result.stderr
    (folder / "gpt-4o").mkdir()
    result = run("prices", "show", "gpt-4o", "-o", "gpt-4o/prices.csv", cwd=folder)
    assert result.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("replay", "base.json"), "base.json: is a report, not a log"),
        (("check", "prompts", "--against", "base.json"), "base.json: is a report, not a log"),
        (("check", "prompts", "--against", "run.parquet"), "run.parquet: is a ledger, not a log"),
        ((*CHECK, "--baseline", "cut.parquet"), "cut.parquet: is not a ledger"),
        ((*CHECK, "--baseline", "log.parquet"), "log.parquet: is not a frugalctl ledger"),
        (("diff", "cut.parquet", "base.json"), "cut.parquet: is not a ledger"),
        (("check", "prompts", "--against", ""), "the name of a file is empty"),
    ],
)
def test_a_file_of_another_kind_is_called_what_it_is(folder, arguments, message):
    write_log(folder / "log.jsonl")
    for target in ("base.json", "run.parquet"):
        assert run("replay", "log.jsonl", "-o", target, cwd=folder).returncode == 0
    assert run("log", "convert", "log.jsonl", "-o", "log.parquet", cwd=folder).returncode == 0
    (folder / "cut.parquet").write_bytes((folder / "run.parquet").read_bytes()[:-99])
    if arguments[0] == "check" and arguments[1] == "prompts":
        arguments = (*arguments, "--fail-if", "cost_usd > 9")
    result = run(*arguments, cwd=folder)
    assert result.returncode == 2
    assert complain_lines(result)[0].startswith(f"frugalctl: {message}")


def test_a_log_from_a_pipe_is_read_once(tmp_path):
    lines = "".join(json.dumps(row(at)) + "\n" for at in range(3)).encode()
    result = run("replay", "/dev/stdin", "--json", stdin=lines)
    assert result.returncode == 0
    assert json.loads(result.stdout)["log"]["requests"] == 3
    gates = ("--fail-if", "log.requests != 3", "--fail-if", "cost_usd > +0%")
    log = write_log(tmp_path / "log.jsonl", 3)
    for path, baseline, text in (
        (log, "/dev/stdin", result.stdout),
        ("/dev/stdin", tmp_path / "base.json", lines),
    ):
        (tmp_path / "base.json").write_bytes(result.stdout)
        assert run("check", path, "--baseline", baseline, *gates, stdin=text).returncode == 0
