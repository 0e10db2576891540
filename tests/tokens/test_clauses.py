import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalctl.tokens.count import _CUT_FROM_CHARS, _CountCache
from frugalctl.tokens.vocabulary import load_encoder

PIECES = st.sampled_from(
    [
        "word. ",
        "Now, ",
        "a: b",
        " x",
        "\n",
        "\\n- ",
        "it's! I'll",
        "你好。",
        "é. É",
        " ﬁ. a",
        "  ",
        "1,0",
    ]
    + [
        "? y",
        ". 's",
        "…. a",
        "\t. Z",
        "\u00a0. B",
        "<|im_end|>. a",
        "e\u0301. a\u0301",
        "؟. k",
        "다: a",
    ]
    + ["A.B. c", "\r\n. d", ". k\u0327x", ";", ". "]
)


@pytest.mark.parametrize("encoding", ["o200k_base", "cl100k_base", "p50k_base", "claude"])
@given(parts=st.lists(PIECES, min_size=5, max_size=40))
@settings(max_examples=60)
def test_clause_by_clause_gives_the_same_tokens(encoding, parts):
    text = "".join(parts) * (_CUT_FROM_CHARS // 5)
    text = text[: 3 * _CUT_FROM_CHARS]
    assert _CountCache(1 << 20).encode(encoding, text) == load_encoder(encoding)(text)


def test_a_clause_that_was_met_is_not_cut_again(monkeypatch):
    seen = []

    def load(encoding):
        def encode(text):
            seen.append(text)
            return [len(text)]

        return encode

    monkeypatch.setattr("frugalctl.tokens.count.load_encoder", load)
    cache = _CountCache(1 << 20)
    rules = "".join(f" Rule {at} holds always." for at in range(100))
    first, second = (cache.encode("x", f"At {hour} o'clock.{rules}") for hour in (9, 10))
    assert len(seen) == len(set(seen)) == 102
    assert first[1:] == second[1:]
