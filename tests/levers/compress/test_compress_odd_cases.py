import json
import sys

import pytest

from frugalctl.errors import BadLine
from frugalctl.levers.compress import lossless_repeats
from frugalctl.levers.compress.evaluate import read_cases
from frugalctl.levers.compress.json_text import decode_exact, encode_json
from frugalctl.levers.compress.pipeline import compress_prompt
from frugalctl.levers.compress.prompt import read_prompt, replace_texts
from frugalctl.levers.compress.settings import CompressSettings

CASE = {"id": "a", "documents": ["Bees fly."], "question": "Who?", "answers": ["Bees"]}


@pytest.mark.parametrize(
    "change",
    [
        {"documents": []},
        {"documents": "Bees fly."},
        {"question": 7},
        {"id": True},
        {"id": [1]},
        {"documents": None},
    ],
)
def test_cases_that_are_broken(change):
    with pytest.raises(BadLine, match="c:1"):
        list(read_cases([json.dumps({**CASE, **change}).encode()], source="c"))


@pytest.mark.parametrize(
    "held", [{"prompt": None}, {"prompt": " "}, {"messages": "x"}, {"messages": []}, {}]
)
def test_cases_without_a_prompt(held):
    line = json.dumps({**held, "answers": ["x"]}).encode()
    with pytest.raises(BadLine, match="c:1"):
        list(read_cases([line], source="c"))


def test_cases_twice_deep_or_with_a_mark():
    line = json.dumps(CASE).encode()
    assert [case.id for case in read_cases([b"\xef\xbb\xbf" + line], source="c")] == ["a"]
    with pytest.raises(BadLine, match="c:2: the id 'a' was on line 1"):
        list(read_cases([line, line], source="c"))
    deep = b'{"z": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(BadLine, match="too deeply"):
        list(read_cases([deep], source="c"))


def test_numbers_come_back_as_they_were_written():
    text = '{"a":[0.10,-0,1E5,1e400,' + "9" * 5000 + ',"frugalctl-number","\\ud800"]}'
    assert encode_json(decode_exact(text), separators=(",", ":")) == text


def test_only_what_is_replaced_is_copied():
    value = {"a": [{"b": "x"}, {"c": ["y"]}], "d": {"e": "z"}}
    made = replace_texts(value, [("a", 0, "b"), ("a", 1, "c", 0)], ["1", "2"])
    assert made == {"a": [{"b": "1"}, {"c": ["2"]}], "d": {"e": "z"}}
    assert value["a"] == [{"b": "x"}, {"c": ["y"]}] and made["d"] is value["d"]


@pytest.mark.parametrize(
    "block", ["ok\n\n", "---\n", '{"a": 1}\n\n', "Q: a\nA: b\n", "Input: x\nOutput: y\n\n", "# H\n"]
)
def test_many_equal_short_blocks_take_linear_work(block):
    lines = 0

    def trace(frame, event, _):
        nonlocal lines
        lines += event == "line"
        return trace if frame.f_code.co_filename == lossless_repeats.__file__ else None

    def measure(times):
        nonlocal lines
        prompt, lines = read_prompt(block * times), 0
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            compress_prompt(prompt, CompressSettings(tiers=("lossless",)))
        finally:
            sys.settrace(before)
        return lines

    few, many = measure(250), measure(1000)
    assert 0 < many < 6 * few


def test_repeats_stop_at_what_has_to_stay():
    block = "The keeper of the {} wrote down every ship that passed. "
    names = ("tower", "harbour", "island", "castle", "bridge", "palace", "temple", "garden")
    text = "\n\n".join((block.format(name) * 6).strip() for name in names)
    pinned = text.replace("palace", "{number}")
    short = compress_prompt(
        read_prompt(f"{pinned}\n\n{pinned}"), CompressSettings(tiers=("lossless",))
    )
    assert short.text.count("{number}") == pinned.count("{number}") * 2
    assert "[same 5 paragraphs as above" in short.text
