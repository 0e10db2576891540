import json

import pytest
from cli_cases import run as run_bytes

LINES = (
    "What is C++?\nwhat  is c++\nHow do I reset my password, please?\nHow can I reset my password\n"
)
GROUPS = [("a", "How do I fix it?"), ("a", "how do i fix it"), ("b", "How can I repair it")]


def run(*arguments, text=None):
    """The exit code, stdout and stderr of a command; no traceback on the latter."""
    result = run_bytes(*arguments, stdin=None if text is None else text.encode())
    assert b"Traceback" not in result.stderr
    return result.returncode, result.stdout.decode(), result.stderr.decode()


@pytest.fixture
def prompts(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text(LINES, "utf-8")
    return path


@pytest.fixture
def groups(tmp_path):
    path = tmp_path / "groups.jsonl"
    lines = [json.dumps({"group": group, "text": text}) for group, text in GROUPS]
    path.write_text("\n".join(lines), "utf-8")
    return path


def test_one_line_in_is_one_line_out(prompts):
    code, out, err = run("normalize", prompts)
    assert code == 0
    assert out.splitlines() == [
        "what is c++",
        "what is c++",
        "how do i reset my password, please",
        "how can i reset my password",
    ]
    assert "1 of 4 texts meet an earlier one by their key" in err


def test_steps_reduce_further_than_the_key(prompts):
    _, out, err = run("normalize", prompts, "--steps", "modifiers, synonyms", "-f", "jsonl")
    rows = [json.loads(line) for line in out.splitlines()]
    assert rows[2] == {
        "text": "How do I reset my password, please?",
        "key": "how do i reset my password, please",
        "reduced": "how to reset my password",
    }
    assert rows[2]["reduced"] == rows[3]["reduced"]
    assert "2 after all steps" in err


def test_stdin_and_a_recipe_with_the_users_own_words(tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        '[normalize]\nsteps = ["synonyms"]\nsynonyms = {invoice = ["bill"]}\n', "utf-8"
    )
    _, out, _ = run("normalize", "-", "--recipe", recipe, text="My bill\r\n\nMy invoice")
    assert out.splitlines() == ["my invoice", "", "my invoice"]


def test_a_log_gives_its_last_user_messages(tmp_path):
    log = tmp_path / "log.jsonl"
    requests = [
        {"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Hi?"}]},
        {"messages": [{"role": "system", "content": "S"}]},
    ]
    log.write_text("\n".join(map(json.dumps, requests)), "utf-8")
    _, out, err = run("normalize", log)
    assert out == "hi\n"
    assert "1 records without a text" in err


def test_meetings_by_step_with_the_wrong_ones(groups):
    _, out, _ = run("normalize", groups, "--steps", "synonyms", "--meetings", "--json")
    rows = json.loads(out)
    assert [(row["step"], row["hits"], row["wrong"]) for row in rows] == [
        ("as written", 0, 0),
        ("key", 1, 0),
        ("synonyms", 2, 1),
    ]
    assert rows[0]["wrong_of_hits"] is None
    low, high = rows[2]["wrong_of_hits_ci95"]
    # one wrong of two: each bound leaves 2.5 % to what is as far from it or farther
    assert 1 - (1 - low) ** 2 == pytest.approx(0.025)
    assert 1 - high**2 == pytest.approx(0.025)


def test_meetings_as_a_table_without_groups(prompts):
    _, out, _ = run("normalize", prompts, "--meetings")
    assert "hit rate" in out
    assert "25.00 %" in out
    assert "wrong" not in out


def test_an_output_file_takes_the_form_of_its_name(prompts, tmp_path):
    run("normalize", prompts, "-o", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text("utf-8").startswith("text,key,reduced\n")
    run("normalize", prompts, "-o", tmp_path / "out.txt")
    assert (tmp_path / "out.txt").read_text("utf-8").startswith("what is c++\nwhat is c++\n")


def test_a_table_is_printed_when_asked_for(prompts):
    _, out, _ = run("normalize", prompts, "--format", "table")
    assert out.startswith("Keys of texts")


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"x\n", ["--steps", "synonym"], "unknown step 'synonym'"),
        (b"x\n", ["--steps", "synonyms", "--recipe", "r.toml"], "both say the steps"),
        (b"fine\n\xff\n", [], ":2: not UTF-8"),
        (b'{"text": "a"}\n{"text": 3}\n', [], ":2: "),
        (b'{"text": "a"}\nplain [\n{\n', [], ":2: not a JSON object"),
        (b"PAR1", [], "is parquet"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, content, options, message):
    path = tmp_path / "in.txt"
    path.write_bytes(content)
    code, out, err = run("normalize", path, *options)
    assert code == 2
    assert out == ""
    assert message in err


def test_the_output_is_not_the_input(prompts):
    code, _, _ = run("normalize", prompts, "-o", prompts)
    assert code == 2
    assert prompts.read_text("utf-8") == LINES
