import pytest
from compress_cli import PROMPTS, RAG, compress, refused


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--rate", "0"], "rate 0 is not above 0"),
        (["--rate", "1.5"], "rate 1.5 is not above 0 and up to 1"),
        (["--rate", "nan"], "rate nan is not above 0"),
        (["--rate", "0.5", "--target-tokens", "90"], "two ways"),
        (["--target-tokens", "0"], "less than 1"),
        (["--target-tokens", "100000"], "more than the prompt has"),
        (["--target-tokens", "5"], "too few"),
        (["--method", "llmlingua2"], "needs a model"),
        (["--method", "llmlingua2", "--llm", "./none"], "./none: no such folder"),
        (["--llm", "./none"], "--llm is for LLMLingua"),
        (["--off", "coments"], "unknown step 'coments'"),
        (["--on", "html", "--off", "html"], "both in --on and in --off"),
        (["--tiers", "some"], "unknown tier 'some'"),
        (["--lossless", "--tiers", "lossy"], "give one"),
        (["--protect", "("], "not a regular expression"),
        (["--question", " "], "--question is empty"),
        (["--cached-share", "2"], "not a share"),
        (["--as-of", "soon"], "soon"),
        (["--lossless", "--rate", "0.1"], "nothing was written"),
        (["-o", "none/short.txt"], "none/short.txt"),
        (["--report", "none/r.json"], "none/r.json"),
    ],
)
def test_bad_options_write_nothing(tmp_path, options, says):
    (tmp_path / "p.txt").write_bytes(RAG.read_bytes())
    where = [] if "-o" in options else ["-o", "short.txt", "--manifest", "m.json"]
    assert says in refused(tmp_path, "p.txt", *where, *options)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "p.txt: is empty"),
        (b" \n\n", "p.txt: is empty"),
        (b"one\ntwo\x00three", "p.txt:2: is binary"),
        (b"one\n\ntwo \xff", "p.txt:3: is not UTF-8"),
        (b"<!-- compress: poem --> a <!-- /compress -->", "unknown kind"),
    ],
)
def test_bad_files_write_nothing(tmp_path, content, says):
    (tmp_path / "p.txt").write_bytes(content)
    assert says in refused(tmp_path, "p.txt", "-o", "short.txt")
    (tmp_path / "good.txt").write_bytes(RAG.read_bytes())
    assert says in refused(tmp_path, "good.txt", "p.txt", "-o", "out")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"id": 1, "prompt": "a"}\n\n{"id": 2, "pro', "b.jsonl:3: is not JSON"),
        (b'{"id": 1, "prompt": "a"}\n[1]\n', "b.jsonl:2: is not an object"),
        (b'{"id": 1, "prompt": "a"}\n{"id": "1", "prompt": "b"}\n', "b.jsonl:2: the id '1'"),
        (b'{"id": 1}\n', "b.jsonl:1: needs either prompt or messages"),
        (b'{"id": 1, "prompt": "a"}\n\xff\n', "b.jsonl:2: is not UTF-8"),
        (b'{"id": 1, "prompt": 7}\n', "b.jsonl:1: prompt is not a text"),
        (b'{"id": 1, "messages": {}}\n', "b.jsonl:1: messages is not a list"),
    ],
)
def test_bad_lines_write_nothing(tmp_path, content, says):
    (tmp_path / "b.jsonl").write_bytes(content)
    assert says in refused(tmp_path, "b.jsonl", "-o", "short.jsonl")


def test_missing_inputs_and_confused_outputs(tmp_path):
    (tmp_path / "p.txt").write_bytes(RAG.read_bytes())
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "p.txt").write_bytes(RAG.read_bytes())
    assert "none.txt: no such file" in refused(tmp_path, "none.txt")
    assert "sub: is a directory" in refused(tmp_path, "sub")
    assert "<stdin>: is empty" in refused(tmp_path, "-", stdin=b"")
    assert "stdin (-) is given twice" in refused(tmp_path, "-", "-", stdin=b"a")
    assert "both an input and the output" in refused(tmp_path, "p.txt", "-o", "p.txt", "--lossless")
    assert "both an input and the output" in refused(
        tmp_path, "p.txt", "-o", "sub/../p.txt", "--lossless"
    )
    assert "written twice" in refused(tmp_path, "p.txt", "-o", "a", "--manifest", "a", "--lossless")
    assert "written twice" in refused(tmp_path, "p.txt", "sub/p.txt", "-o", "out", "--lossless")
    (tmp_path / "file").write_text("")
    assert "is a file" in refused(tmp_path, "p.txt", "sub/p.txt", "-o", "file", "--lossless")
    assert "Missing" in refused(tmp_path)


def test_a_method_that_needs_a_question(tmp_path):
    (tmp_path / "p.txt").write_text("Bees live in hives. They make honey. " * 9)
    said = refused(
        tmp_path, "p.txt", "--method", "longllmlingua", "--llm", tmp_path, "-o", "short.txt"
    )
    assert "longllmlingua needs a question" in said


def test_restore_refuses_what_does_not_fit(tmp_path):
    short, manifest = tmp_path / "short.txt", tmp_path / "m.json"
    compress(RAG, "--rate", 0.5, "-o", short, "--manifest", manifest)
    compress(PROMPTS / "review.md", "-o", tmp_path / "b", "--manifest", tmp_path / "b.json")
    assert "not the output" in refused(
        tmp_path, "restore", "short.txt", "--manifest", "b.json", "-o", "x"
    )
    assert "none.json: no such file" in refused(
        tmp_path, "restore", "short.txt", "--manifest", "none.json"
    )
    assert "short.txt" in refused(
        tmp_path, "restore", "short.txt", "--manifest", "short.txt", "-o", "x"
    )
    assert "both an input" in refused(
        tmp_path, "restore", "short.txt", "--manifest", "m.json", "-o", "m.json"
    )
    short.write_bytes(short.read_bytes() + b" ")
    assert "short.txt: is not the output" in refused(
        tmp_path, "restore", "short.txt", "--manifest", "m.json"
    )
    (tmp_path / "e.json").write_text("{}")
    assert "e.json: " in refused(tmp_path, "restore", "short.txt", "--manifest", "e.json")


def test_eval_refuses_bad_rates_and_cases(tmp_path):
    (tmp_path / "c.jsonl").write_text('{"prompt": "a b", "answers": ["a"]}\n{"prompt": "b"}\n')
    assert "c.jsonl:2: needs either answers or evidence" in refused(
        tmp_path, "eval", "c.jsonl", "-o", "x"
    )
    assert "not above 1" in refused(tmp_path, "eval", "c.jsonl", "--rates", "1")
    assert "not a list" in refused(tmp_path, "eval", "c.jsonl", "--rates", "two")
    (tmp_path / "e.jsonl").write_text("\n")
    assert "e.jsonl: has no case" in refused(tmp_path, "eval", "e.jsonl")
