import json
import re

import pytest
from compress_prompts import texts
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.errors import UsageError
from frugalctl.levers.compress.fences import find_emptied
from frugalctl.levers.compress.manifest import restore
from frugalctl.levers.compress.pipeline import compress_prompt
from frugalctl.levers.compress.prompt import build_prompt, read_prompt
from frugalctl.levers.compress.protect import ALWAYS, find_protected
from frugalctl.levers.compress.settings import CompressSettings
from frugalctl.tokens import count_text

PLACEHOLDER = re.compile(r"\{\w+\}")
LINE = "The Nile is 6,650 km long and {x} flows north. "


def check(prompt, original, settings):
    made = compress_prompt(prompt, settings, strict=False)
    assert restore(made.text, json.loads(json.dumps(made.describe()))) == original
    if made.tokens_before <= (made.budget_tokens or 0):
        assert made.tokens_after <= made.tokens_before
    for part in made.parts:
        became = part.text
        at = 0
        for piece in part.pieces:
            assert piece.start == at
            at = piece.end
        assert at == len(part.part.text)
        gone = find_emptied(part.part, part.pieces)
        for item in part.part.segments:
            words = part.part.text[item.start : item.end]
            free = any(start <= item.start < end for start, end in gone)
            assert not item.locked or free or words in became or words.startswith("<!-- ")
        for span in part.part.protected:
            words = part.part.text[span.start : span.end]
            free = span.reason == "fence" and any(one <= span.start < end for one, end in gone)
            free = free or span.reason not in ALWAYS or words.startswith("<!-- ")
            assert free or words in became
    return made


@given(texts, st.sampled_from([None, 0.2, 0.5, 0.9]))
def test_any_text_through_all_tiers(text, rate):
    prompt = read_prompt(text, shape="text", patterns=[r"(?i)nile|snow"])
    made = check(prompt, text, CompressSettings(rate=rate, embedder="none"))
    assert made.tokens_after == count_text(made.text, made.model)
    for name in set(PLACEHOLDER.findall(text)):
        assert made.text.count(name) == text.count(name)


@given(texts, st.floats(0.05, 1))
def test_the_budget_is_kept_or_the_call_fails(text, rate):
    try:
        made = compress_prompt(
            read_prompt(text, shape="text"), CompressSettings(rate=rate, embedder="none")
        )
    except UsageError as error:
        assert error.hint
        return
    assert count_text(made.text, made.model) <= rate * count_text(text, made.model) + 1e-6


@given(texts)
def test_tiers_that_lose_nothing_keep_every_number(text):
    settings = CompressSettings(tiers=("lossless",), repeats=False, escapes=False)
    made = compress_prompt(read_prompt(text, shape="text"), settings)
    for span in find_protected(text, (), made.parts[0].part.segments):
        assert text[span.start : span.end] in made.text or "<!-- " in text


@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant", "tool"]), texts)))
def test_any_chat(messages):
    value = [{"role": role, "content": text} for role, text in messages]
    prompt = build_prompt(value)
    original = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    made = check(prompt, original, CompressSettings(rate=0.5, embedder="none"))
    assert [message["role"] for message in made.value] == [role for role, _ in messages]
    for message, (_, text) in zip(made.value, messages, strict=True):
        assert message["content"].strip() or not text.strip() or "<!-- " in text


@pytest.mark.parametrize("text", [LINE * 20_000, "x" * 1_000_000, '["' + "a" * 999_000])
def test_one_line_of_a_megabyte(text):
    check(read_prompt(text), text, CompressSettings(rate=0.95, embedder="none"))
