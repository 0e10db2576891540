import subprocess
import sys
import time

import pytest

from frugalctl.errors import FrugalError
from frugalctl.tokens import count_messages, count_text, encoding_name, is_exact
from frugalctl.tokens.count import _CountCache
from frugalctl.tokens.vocabulary import _load_short, _load_tiktoken, load_encoder


@pytest.mark.parametrize(
    ("model", "encoding", "exact"),
    [
        ("gpt-4o-mini-2024-07-18", "o200k_base", True),
        ("openai/gpt-5.4", "o200k_base", True),
        ("ft:gpt-4o-mini:org::id", "o200k_base", True),
        ("o3-mini", "o200k_base", True),
        ("o1", "o200k_base", True),
        ("gpt-4.1", "o200k_base", True),
        ("gpt-4", "cl100k_base", True),
        ("gpt-4-turbo", "cl100k_base", True),
        ("azure/gpt-35-turbo", "cl100k_base", True),
        ("gpt-3.5-turbo-0125", "cl100k_base", True),
        ("text-davinci-003", "p50k_base", True),
        ("claude-2.1", "claude", True),
        ("claude-opus-5", "claude", False),
        ("bedrock/us.anthropic.claude-sonnet-4-5", "claude", False),
        ("gemini-2.5-pro", "o200k_base", False),
        ("omni-1", "o200k_base", False),
        ("", "o200k_base", False),
    ],
)
def test_model_families(model, encoding, exact):
    assert (encoding_name(model), is_exact(model)) == (encoding, exact)


@pytest.mark.parametrize(
    ("text", "model", "tokens"),
    [
        ("", "gpt-4o", 0),
        ("hello world", "gpt-4o", 2),
        ("hello world", "gpt-4", 2),
        ("hello world", "text-davinci-003", 2),
        ("hello world", "claude-2", 2),
        # The OpenAI cookbook's example for cl100k_base.
        ("tiktoken is great!", "gpt-4", 6),
    ],
)
def test_known_counts(text, model, tokens):
    assert count_text(text, model) == tokens


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4", "claude-2"])
def test_special_tokens_are_ordinary_text(model):
    assert count_text("<|endoftext|>", model) > 1
    assert count_text("<EOT>", model) > 1


def test_a_chat_costs_three_a_message_and_three_for_the_reply():
    messages = [{"role": "user", "content": "hello world"}]
    assert count_messages(messages, None, "gpt-4o") == 3 + (3 + 1 + 2)
    named = [{**messages[0], "name": "hello"}]
    assert count_messages(named, None, "gpt-4o") == 9 + 1 + 1
    parts = [{"role": "user", "content": [{"type": "text", "text": "hello world"}]}]
    assert count_messages(parts, None, "gpt-4o") == 9


def test_calls_tools_and_other_structure_count_as_compact_json():
    call = [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]
    plain = count_messages([{"role": "assistant", "content": None}], None, "gpt-4o")
    compact = '[{"id":"c","function":{"name":"f","arguments":"{}"}}]'
    with_call = [{"role": "assistant", "content": None, "tool_calls": call}]
    assert count_messages(with_call, None, "gpt-4o") == plain + count_text(compact, "gpt-4o")
    assert count_messages([], [{"a": 1}], "gpt-4o") == 3 + count_text('[{"a":1}]', "gpt-4o")
    item = {"type": "function_call_output", "output": "5"}
    text = '{"type":"function_call_output","output":"5"}'
    assert count_messages([item], None, "gpt-4o") == 6 + count_text(text, "gpt-4o")


@pytest.mark.parametrize("filler", [" ", "a", "가", "word "])
def test_long_texts_neither_overflow_nor_drift(filler):
    text = filler * (250_000 // len(filler))
    pieces = count_text(text, "gpt-4o")
    tenth = count_text(text[: len(text) // 10 // len(filler) * len(filler)], "gpt-4o")
    assert pieces == pytest.approx(10 * tenth, rel=0.01)


def test_each_text_is_counted_once_within_bounds():
    calls = []

    def encode(text: str) -> list[int]:
        calls.append(text)
        return list(range(len(text)))

    cache = _CountCache(10)
    forget_vocabularies()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("frugalctl.tokens.count.load_encoder", lambda _: encode)
        for text in ("aaaa", "bbbb", "aaaa", "cccc", "bbbb", "aaaa"):
            assert cache.count("x", text) == 4
    assert calls == ["aaaa", "bbbb", "cccc", "aaaa"]


def test_a_repeated_conversation_is_fast():
    text = "The quick brown fox jumps over the lazy dog. " * 2_000
    count_text(text, "gpt-4o")
    start = time.perf_counter()
    for _ in range(1_000):
        count_text(text, "gpt-4o")
    assert time.perf_counter() - start < 1


def forget_vocabularies():
    for load in (load_encoder, _load_short, _load_tiktoken):
        load.cache_clear()


def test_a_missing_vocabulary_says_how_to_mend_it(monkeypatch, tmp_path):
    forget_vocabularies()
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    with pytest.raises(FrugalError) as caught:
        load_encoder("o200k_base")
    assert "TIKTOKEN_CACHE_DIR" in caught.value.hint
    forget_vocabularies()


def test_counting_does_not_import_litellm():
    code = (
        "import sys; from frugalctl.tokens import count_text;"
        "assert 'tiktoken' not in sys.modules;"
        "count_text('hello', 'gpt-4o'); count_text('hello', 'claude-2');"
        "assert 'litellm' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
