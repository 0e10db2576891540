import sys
from datetime import date
from decimal import Decimal

import pytest

from frugalctl.errors import MissingExtraError
from frugalctl.prices import load_book
from frugalctl.prices.book import DATA
from frugalctl.prices.compare import UNEXPLAINED, compare_prices

pytest.importorskip("genai_prices")
BOOK = load_book()


@pytest.mark.parametrize("on", [None, date(2026, 12, 1), date(2027, 1, 1)])
def test_every_difference_of_today_and_of_announced_prices_is_explained(on):
    found = compare_prices(BOOK, on=on)
    assert [one for one in found if one.explanation == UNEXPLAINED] == []
    assert {one.peer for one in found} == {"litellm", "genai-prices"}


def test_known_disagreements_are_found():
    found = {(one.peer, one.model, one.dimension): one for one in compare_prices(BOOK)}
    chat = found["genai-prices", "deepseek-chat", "output"]
    assert (chat.ours, chat.theirs) == (Decimal("0.42"), Decimal("1.1"))
    sonnet = found["genai-prices", "claude-sonnet-4-5", "input"]
    assert (sonnet.condition, sonnet.ours, sonnet.theirs) == ("standard >200000", 3, 6)
    assert found["litellm", "kimi-k3", "cache_write_1h"].theirs is None
    argon = [d for d in compare_prices(BOOK, on=date(2026, 12, 1)) if d.model == "gemini-4-argon"]
    assert {one.peer for one in argon} == {"litellm"}


def test_a_wrong_price_would_be_unexplained(tmp_path):
    for path in DATA.glob("*.csv"):
        text = path.read_text()
        if path.stem == "openai":
            assert "\ngpt-4.1,,,standard,,,2,,,0.5,8," in text
            text = text.replace(
                "gpt-4.1,,,standard,,,2,,,0.5,8,", "gpt-4.1,,,standard,,,3,,,0.5,8,"
            )
        (tmp_path / path.name).write_text(text)
    wrong = [d for d in compare_prices(load_book(tmp_path)) if d.explanation == UNEXPLAINED]
    assert {(d.peer, d.model, d.ours, d.theirs) for d in wrong if d.condition == "standard"} == {
        ("litellm", "gpt-4.1", 3, 2),
        ("genai-prices", "gpt-4.1", 3, 2),
    }


def test_without_genai_prices_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    with pytest.raises(MissingExtraError, match="genai-prices") as caught:
        compare_prices(BOOK)
    assert "frugalctl[peers]" in caught.value.hint
