import gzip
import json
import re

import pytest
from cli_cases import run
from compress_cli import CHAT, LINES, MODEL, PROMPTS, RAG, compress

from frugalctl.tokens import count_text


def test_text_in_text_out(tmp_path):
    code, out, err = compress(RAG, "--rate", 0.5, "-o", tmp_path / "short.txt")
    text = (tmp_path / "short.txt").read_text()
    assert (code, out) == (0, b"")
    assert count_text(text, MODEL) <= count_text(RAG.read_text(), MODEL) * 0.5
    assert "Bicycles cost 1.50 euros" in text
    assert text.startswith(RAG.read_text()[:60])
    assert "735 -> " in err


def test_stdin_with_a_target_and_a_question():
    text = RAG.read_text().split("Question:")[0].encode()
    code, out, _ = compress(
        "-", "--target-tokens", 200, "--question", "Where is lost property kept?", stdin=text
    )
    assert code == 0
    assert count_text(out.decode(), MODEL) <= 200
    assert b"ticket office of Stone Quay for 6 weeks" in out


def test_options_may_come_first():
    assert compress("--rate", 0.5, RAG)[:2] == compress(RAG, "--rate", 0.5)[:2]


def test_chat_in_chat_out():
    code, out, _ = compress(CHAT, "--rate", 0.8)
    chat, original = json.loads(out), json.loads(CHAT.read_text())
    assert code == 0
    assert [message["role"] for message in chat["messages"]] == [
        message["role"] for message in original["messages"]
    ]
    assert chat["messages"][0] == original["messages"][0]
    assert chat["messages"][3] == original["messages"][3]


def test_a_batch_comes_out_by_id(tmp_path):
    code, out, _ = compress(LINES, "--rate", 0.6, "--manifest", tmp_path / "m.jsonl")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [line["id"] for line in lines] == ["mill", "lake", "clock", "chat", "records"]
    for line in lines:
        assert list(line) == ["id", "compressed", "tokens", "rate", "warnings"]
        before, after = line["tokens"]["before"], line["tokens"]["after"]
        assert after <= before * 0.6
        assert line["rate"] == pytest.approx(after / before, abs=1e-6)
    assert isinstance(lines[0]["compressed"], str)
    assert lines[3]["compressed"][0]["role"] == "system"
    assert "fire brigade" in lines[2]["compressed"]


def test_a_batch_on_stdin_and_packed(tmp_path):
    packed = tmp_path / "lines.jsonl.gz"
    packed.write_bytes(gzip.compress(LINES.read_bytes()))
    plain = compress(LINES, "--rate", 0.6)[1]
    assert compress(packed, "--rate", 0.6)[1] == plain
    assert compress("-", "--rate", 0.6, "-f", "jsonl", stdin=LINES.read_bytes())[1] == plain


def test_a_canonical_log_is_a_batch():
    log = PROMPTS.parent / "requests.jsonl"
    first = b"".join(log.read_bytes().splitlines(keepends=True)[:5])
    code, out, _ = compress("-", "--lossless", "--format", "jsonl", stdin=first)
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [line["id"] for line in lines] == [json.loads(one)["id"] for one in first.splitlines()]
    assert all(line["compressed"][-1]["role"] for line in lines)


def test_a_text_as_a_line():
    line = json.loads(compress(RAG, "--rate", 0.5, "-f", "jsonl")[1])
    assert line["id"] == str(RAG)
    assert line["compressed"].encode() == compress(RAG, "--rate", 0.5)[1]


def test_several_files_to_a_folder(tmp_path):
    code, out, _ = compress(
        RAG, CHAT, "--lossless", "-o", tmp_path / "out", "--manifest", tmp_path / "manifests"
    )
    assert (code, out) == (0, b"")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [RAG.name, CHAT.name]
    for source in (RAG, CHAT):
        again = tmp_path / "again"
        manifest = tmp_path / "manifests" / f"{source.name}.manifest.json"
        short = tmp_path / "out" / source.name
        assert compress("restore", short, "--manifest", manifest, "-o", again)[0] == 0
        assert again.read_bytes() == source.read_bytes()


def test_several_files_to_stdout_have_headings():
    out = compress(RAG, CHAT, "--lossless")[1].decode()
    assert re.findall(r"^==> (.*) <==$", out, re.MULTILINE) == [str(RAG), str(CHAT)]


@pytest.mark.parametrize("name", ["rag.txt", "support-chat.json", "review.md", "errors.log"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_restore_gives_the_same_bytes(tmp_path, name, ending):
    source = tmp_path / name
    text = (PROMPTS / name).read_text(encoding="utf-8").replace("\n", ending)
    source.write_bytes(b"\xef\xbb\xbf" + text.encode())
    short, manifest = tmp_path / "short", tmp_path / "m.json"
    assert compress(source, "--rate", 0.9, "-o", short, "--manifest", manifest)[0] == 0
    code, out, _ = compress("restore", short, "--manifest", manifest)
    assert code == 0
    assert short.read_bytes() != source.read_bytes()
    assert out == source.read_bytes()


def test_restore_a_batch(tmp_path):
    short, manifest = tmp_path / "short.jsonl", tmp_path / "m.jsonl"
    compress(LINES, "--rate", 0.6, "-o", short, "--manifest", manifest)
    code, out, _ = compress("restore", short, "--manifest", manifest)
    assert code == 0
    for line, original in zip(out.splitlines(), LINES.read_bytes().splitlines(), strict=True):
        assert json.loads(line) == json.loads(original)


def test_ids_keep_their_type_and_lines_their_fields(tmp_path):
    lines = [
        {"id": 2, "prompt": "The sky is blue. The sea is green.", "question": "What is blue?"},
        {"task": "x", "messages": [{"role": "user", "content": "Hello there."}], "id": "a"},
        {"prompt": "One. Two.", "n": 1.5},
    ]
    file, short, manifest = (tmp_path / name for name in ("in.jsonl", "out.jsonl", "m.jsonl"))
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    compress(file, "--rate", 0.9, "-o", short, "--manifest", manifest)
    ids = [json.loads(line)["id"] for line in short.read_text().splitlines()]
    assert ids == [2, "a", "line 3"]
    _, out, _ = compress("restore", short, "--manifest", manifest)
    assert [json.loads(line) for line in out.splitlines()] == lines


def test_tools_and_the_share_that_is_said(tmp_path):
    chat = {
        "messages": [{"role": "user", "content": "Where is my order 4711? " * 3}],
        "tools": [{"type": "function", "function": {"name": "get_order"}}],
    }
    file = tmp_path / "chat.json"
    file.write_text(json.dumps(chat))
    _, out, _ = compress(file, "--format", "table", "--cached-share", 0.2)
    assert "Not counted: tool definitions, about " in out.decode()
    assert "Shared prefix, 20% of each prompt as you said" in out.decode()
    report = json.loads(compress(file, "--format", "json")[1])
    assert report["prompts"][0]["tool_tokens"] > 5


def test_diff_and_explain_take_the_place_of_the_prompt(tmp_path, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    code, out, _ = compress(PROMPTS / "review.md", "--diff")
    assert code == 0
    assert b"-         # A line is: depot, day, number of parcels.\n" in out
    assert b"+ Ropewalk|240|240" in out
    assert b"\x1b" not in out
    short = tmp_path / "short.txt"
    explained = compress(RAG, "--rate", 0.5, "--explain", "-o", short)[1].decode()
    assert "less relevant to the question" in explained
    assert short.read_bytes() == compress(RAG, "--rate", 0.5)[1]


def test_the_diff_has_colours_where_they_are_wanted(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert b"\x1b[31m- " in compress(PROMPTS / "review.md", "--diff")[1]


def test_the_page_is_escaped_and_has_no_scripts(tmp_path):
    source, page = tmp_path / "p.txt", tmp_path / "d.html"
    evil = "<script>alert(1)</script>"
    source.write_text(RAG.read_text().replace("Wallets", f"{evil} Wallets \x07"))
    assert compress(source, "--rate", 0.5, "--diff-html", page)[0] == 0
    text = page.read_text()
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert not re.search(r"(src|href|url)\s*[=(]", text)
    assert "<del" in text


def test_the_report_prices_tokens(tmp_path):
    report = tmp_path / "r.json"
    options = ("--rate", 0.5, "--calls", 20, "--as-of", "2026-11-20")
    compress(RAG, *options, "--report", report)
    found = json.loads(report.read_text())
    before, after = found["tokens"]["before"], found["tokens"]["after"]
    assert found["cost_usd"] == {
        "before": pytest.approx(before * 0.75e-6),
        "after": pytest.approx(after * 0.75e-6),
    }
    assert found["cost_usd_of_calls"]["after"] == pytest.approx(20 * after * 0.75e-6)
    assert json.loads(compress(RAG, *options, "--format", "json")[1]) == found
    assert b"time to compress" in compress(RAG, *options, "--format", "table")[1]


def test_a_long_cached_prefix_beats_compression_and_it_says_so():
    code, _, err = compress(RAG, "--rate", 0.4, "--model", "claude-opus-5")
    assert code == 0
    assert "from 5 calls on that find its prefix in the provider's cache" in err


def test_what_was_not_chosen_by_the_question_is_told_apart():
    found = json.loads(compress(PROMPTS / "errors.log", "--format", "json")[1])
    assert found["caching"]["by_question"] is False
    chosen = json.loads(compress(RAG, "--rate", 0.5, "--format", "json")[1])
    assert chosen["caching"]["by_question"] is True
    sizes = chosen["caching"]["prefix_tokens"]
    assert sizes["after"] < chosen["tokens"]["after"] < sizes["before"]


def test_reports_of_a_batch_are_sums(tmp_path):
    report = tmp_path / "r.csv"
    out = compress(LINES, "--rate", 0.6, "--format", "json", "--report", report)[1]
    found = json.loads(out)
    rows = report.read_text().splitlines()
    assert found["calls"] == 1
    assert len(rows) == 1 + len(found["prompts"]) == 6
    for side in ("before", "after"):
        assert found["tokens"][side] == sum(row["tokens"][side] for row in found["prompts"])
        assert found["cost_usd"][side] == pytest.approx(found["tokens"][side] * 0.75e-6)
    assert out == compress(LINES, "--rate", 0.6, "--format", "json")[1]
    table = compress(LINES, "--rate", 0.6, "--format", "markdown")[1].decode()
    assert "| lake | 231 |" in table


def test_an_unpriced_model_is_unknown_and_not_free():
    _, out, _ = compress(RAG, "--rate", 0.5, "--model", "orchid-7b-internal", "--format", "json")
    found = json.loads(out)
    assert found["cost_usd"] == {"before": None, "after": None}
    assert found["caching"] is None


def test_steps_are_switched():
    review = PROMPTS / "review.md"
    assert b"# add them up" not in compress(review)[1]
    assert b"# add them up" in compress(review, "--off", "comments")[1]
    assert b"Parcels by depot." in compress(review)[1]
    assert b"Parcels by depot." not in compress(review, "--on", "docstrings")[1]
    assert b"# add them up" in compress(review, "--tiers", "lossless")[1]


def test_protected_text_stays():
    out = compress(RAG, "--rate", 0.4, "--protect", "Oswin [A-Z][a-z]+")[1]
    assert b"Oswin Marlowe" in out
    assert b"Oswin Marlowe" not in compress(RAG, "--rate", 0.4)[1]


def test_eval_prints_retention_with_its_interval():
    cases = PROMPTS / "cases.jsonl"
    code, out, _ = compress("eval", cases, "--rates", "2,4", "--json", "--as-of", "2026-11-20")
    first, second = json.loads(out)["rates"]
    assert code == 0
    assert (first["rate"], second["rate"]) == (2.0, 4.0)
    assert first["kept"] == first["cases"] == 18
    assert first["retention_ci95"][0] < first["retention"] == first["retention_ci95"][1]
    assert first["cost_usd"]["before"] == pytest.approx(first["tokens"]["before"] * 0.75e-6)
    assert second["tokens"]["after"] * 4 <= second["tokens"]["before"]
    table = compress("eval", cases, "--rates", "2")[1].decode()
    assert "18 of 18" in table and "81.5%" in table
    assert compress("eval", cases, "--rates", "2", "-f", "csv")[1].count(b"\n") == 2


def test_defaults_come_from_the_configuration(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = compress(RAG, "--rate", 0.5)[1]
    told = "[compress]\nrate = 0.5\n\n[compress.eval]\nrates = '3'\n"
    (tmp_path / "frugalctl.toml").write_text(told)
    assert compress(RAG)[1] == expected
    (tmp_path / "frugalctl.toml").unlink()
    monkeypatch.setenv("FRUGALCTL_COMPRESS_RATE", "0.5")
    assert compress(RAG)[1] == expected


def test_the_help_tells_of_the_other_commands():
    text = run("compress", "--help").stdout.decode()
    assert text.startswith("Usage: frugalctl compress [OPTIONS]")
    for word in ("--rate", "--manifest", "eval ", "restore ", "frugalctl compress prompt.txt"):
        assert word in text
    assert run("compress", "restore", "--help").stdout.startswith(
        b"Usage: frugalctl compress restore"
    )


def test_a_process_of_its_own_pipes(tmp_path):
    result = run("compress", "-", "--rate", "0.5", stdin=RAG.read_bytes(), cwd=tmp_path)
    assert result.returncode == 0
    assert result.stdout.startswith(b"You are an assistant")
    assert result.stderr.startswith(b"note: 735 -> ")
