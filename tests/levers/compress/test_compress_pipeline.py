import json

import pytest

from frugalctl.errors import FrugalError, UsageError
from frugalctl.levers.compress import lossless
from frugalctl.levers.compress.budget import BudgetError
from frugalctl.levers.compress.manifest import restore
from frugalctl.levers.compress.pieces import Piece
from frugalctl.levers.compress.pipeline import compress_prompt
from frugalctl.levers.compress.prompt import build_prompt, read_prompt
from frugalctl.levers.compress.settings import CompressSettings
from frugalctl.tokens import count_text

TEXT = (
    "Answer from the documents.\n\n"
    "Document [1](Title: Rivers) The Nile is 6,650 km long. It flows to the north. Boats sail.\n"
    "Document [2](Title: Peaks) Everest is 8,849 m high. Snow lies on it all year.\n"
    "Document [3](Title: Towns) Seoul is a town. Ten million people live there. It is old.\n\n"
    "Question: how long is the Nile?\nAnswer:"
)
LEXICAL = CompressSettings(embedder="none")


def settings(**changes):
    return CompressSettings(**{"embedder": "none", **changes})


def test_the_answer_stays_and_the_budget_holds():
    made = compress_prompt(read_prompt(TEXT), settings(rate=0.6))
    assert "6,650 km" in made.text
    assert made.text.startswith("Answer from the documents.\n\n")
    assert made.text.endswith("Question: how long is the Nile?\nAnswer:")
    assert made.tokens_before == count_text(TEXT, made.model)
    assert made.tokens_after == count_text(made.text, made.model) <= made.budget_tokens
    assert made.budget_tokens == int(made.tokens_before * 0.6)
    assert made.rate == made.tokens_after / made.tokens_before
    assert made.question == "how long is the Nile?"
    assert restore(made.text, json.loads(json.dumps(made.describe()))) == TEXT


def test_target_in_tokens_of_the_model():
    made = compress_prompt(read_prompt(TEXT), settings(target_tokens=70, model="gpt-4"))
    assert count_text(made.text, "gpt-4") == made.tokens_after <= 70


def test_without_a_budget_nothing_is_dropped():
    made = compress_prompt(read_prompt("A b.  \n\n\n\nC d.\n"), LEXICAL)
    assert made.budget_tokens is None
    assert made.text.split() == ["A", "b.", "C", "d."]


def test_without_tiers_nothing_but_markup_changes():
    text = "a  <!-- compress: keep -->b<!-- /compress -->  c"
    assert compress_prompt(read_prompt(text), settings(tiers=())).text == "a  b  c"


def test_a_chat_keeps_its_shape():
    chat = {
        "messages": [
            {"role": "system", "content": "Be   brief."},
            {"role": "user", "content": TEXT},
        ]
    }
    made = compress_prompt(read_prompt(json.dumps(chat)), settings(rate=0.7))
    out = json.loads(made.text)
    assert out == made.value
    assert out["messages"][0] == chat["messages"][0]
    assert "6,650 km" in out["messages"][1]["content"]
    counted = sum(count_text(message["content"], made.model) for message in out["messages"])
    assert counted == made.tokens_after <= made.budget_tokens
    assert restore(made.text, made.describe()) == json.dumps(chat)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target_tokens": 10_000}, "more than the prompt has"),
        ({"target_tokens": 3}, "too few"),
        ({"rate": 0.01}, "too few"),
        ({"rate": 0.5, "tiers": ("lossless",)}, "more than the"),
    ],
)
def test_budgets_that_cannot_be_kept(changes, message):
    with pytest.raises(UsageError, match=message) as caught:
        compress_prompt(read_prompt(TEXT), settings(**changes))
    assert caught.value.hint


@pytest.mark.parametrize(
    "changes",
    [{"target_tokens": 10_000}, {"target_tokens": 3}, {"rate": 0.5, "tiers": ("lossless",)}],
)
def test_a_replay_warns_instead(changes):
    made = compress_prompt(read_prompt(TEXT), settings(**changes), strict=False)
    assert made.warnings
    assert "how long is the Nile?" in made.text


def test_the_least_that_is_named_is_enough_to_ask_for():
    for text in (TEXT, "Please do it.\n\nSome {x} here. More of it."):
        with pytest.raises(BudgetError, match="what has to stay is") as caught:
            compress_prompt(read_prompt(text), settings(target_tokens=1))
        least = caught.value.least_tokens
        made = compress_prompt(read_prompt(text), settings(target_tokens=least))
        assert made.tokens_after == least
        with pytest.raises(BudgetError, match=f"is {least}"):
            compress_prompt(read_prompt(text), settings(target_tokens=least - 1))


def test_a_replay_comes_as_near_as_can_be():
    made = compress_prompt(read_prompt(TEXT), settings(target_tokens=1), strict=False)
    assert made.tokens_after < made.tokens_before / 2
    assert made.warnings[-1] == (
        f"{made.tokens_after} tokens are left, more than the 1 that were asked for"
    )


def test_empty_prompts():
    for text in ("", "\ufeff", "\n"):
        made = compress_prompt(read_prompt(text), LEXICAL)
        assert restore(made.text, made.describe()) == text
    assert compress_prompt(read_prompt(""), LEXICAL).rate is None
    assert compress_prompt(build_prompt([]), LEXICAL).tokens_after == 0


def test_a_tier_that_breaks_a_span_is_found_out(monkeypatch):
    def break_all(part, pieces, settings):
        return [Piece(0, len(part.text), part.text.replace("{x}", "{y}"), "broken")]

    monkeypatch.setattr(lossless, "apply", break_all)
    with pytest.raises(FrugalError, match="nothing was written"):
        compress_prompt(read_prompt("Some {x} here."), settings(tiers=("lossless",)))


def test_auto_needs_no_budget_and_never_exceeds_one():
    made = compress_prompt(read_prompt(TEXT), settings(auto=True))
    assert made.budget_tokens is None
    assert "6,650 km" in made.text and made.tokens_after <= made.tokens_before
    tight = settings(auto=True, target_tokens=made.tokens_after - 1)
    short = compress_prompt(read_prompt(TEXT), tight)
    assert short.tokens_after < made.tokens_after
    assert any("may be needed" in line for line in short.warnings)


def test_a_question_given_decides_what_stays():
    prompt = read_prompt(TEXT.replace("how long is the Nile?", "what now?"))
    made = compress_prompt(prompt, settings(rate=0.6), "How high is Everest?")
    assert made.question == "How high is Everest?"
    assert "8,849 m" in made.text
