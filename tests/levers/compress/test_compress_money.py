import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.errors import PriceError
from frugalctl.levers.compress.budget import make_counter
from frugalctl.levers.compress.money import (
    AS_IT_IS,
    AS_IT_IS_CACHED,
    COMPRESSED,
    COMPRESSED_CACHED,
    InputPrices,
    Plan,
    PromptSize,
    find_turns,
    list_plans,
    load_prices,
    measure_prompt,
)
from frugalctl.levers.compress.pipeline import compress_prompt
from frugalctl.levers.compress.prompt import read_prompt
from frugalctl.levers.compress.settings import CompressSettings
from frugalctl.prices import load_book

MODEL = "gpt-5.4-mini"
DAY_US = 1_795_132_800_000_000
TEXT = (
    "Answer from the documents.\n\nDocument [1](Title: Sky) The sky is blue. It rains in May.\n\n"
    "Document [2](Title: Cats) Cats sleep all day. They hunt at night. They eat twice.\n\n"
    "Question: When does it rain?\n"
)


def price_plainly(fresh, read, written):
    return fresh * 1.0 + read * 0.1 + written * 1.25


def prices(**more):
    return InputPrices("m", "book", "2026-11-20", price_plainly, **more)


def test_prices_are_those_of_the_day():
    found = load_prices(load_book(), "claude-opus-5", as_of_us=DAY_US)
    assert found.price(1_000_000, 0, 0) == pytest.approx(5)
    assert found.price(0, 1_000_000, 0) == pytest.approx(0.5)
    assert found.price(0, 0, 1_000_000) == pytest.approx(6.25)
    assert (found.day, found.min_cache_tokens, found.lifetime_s) == ("2026-11-20", 512, 300)
    with pytest.raises(PriceError, match="unknown model"):
        load_prices(load_book(), "orchid-7b-internal")


def test_a_quarter_of_the_prompt_costs_more_than_a_cached_one():
    size = PromptSize(before=4000, after=1000, prefix_before=4000, prefix_after=0)
    plans = {plan.name: plan for plan in list_plans([size], prices())}
    assert set(plans) == {AS_IT_IS, COMPRESSED, AS_IT_IS_CACHED}
    assert plans[COMPRESSED].cost_usd(10) == 10_000
    assert plans[AS_IT_IS_CACHED].cost_usd(10) == 4000 * (1.25 + 9 * 0.1)
    turns = find_turns(list(plans.values()))
    assert [(turn.calls, turn.plan) for turn in turns] == [(1, COMPRESSED), (8, AS_IT_IS_CACHED)]


def test_a_prefix_below_the_least_is_not_cached():
    size = PromptSize(before=4000, after=1000, prefix_before=1023, prefix_after=900)
    names = [plan.name for plan in list_plans([size], prices(min_cache_tokens=1024))]
    assert names == [AS_IT_IS, COMPRESSED]
    assert len(list_plans([size], prices(has_cache=False))) == 2
    assert len(list_plans([size], prices(min_cache_tokens=1000))) == 3


def test_a_compressed_prefix_is_cached_where_it_stays_the_same():
    size = PromptSize(before=4000, after=1000, prefix_before=3900, prefix_after=900)
    plan = next(one for one in list_plans([size], prices()) if one.name == COMPRESSED_CACHED)
    assert (plan.first_usd, plan.next_usd) == (100 + 900 * 1.25, 100 + 90)


plans = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 40)), min_size=1, max_size=4).map(
    lambda costs: [Plan(str(at), float(a), float(b)) for at, (a, b) in enumerate(costs)]
)


@given(plans)
def test_turns_are_those_of_trying_every_number_of_calls(plans):
    turns = find_turns(plans)
    for calls in range(1, 500):
        told = [turn.plan for turn in turns if turn.calls <= calls][-1]
        costs = {plan.name: plan.cost_usd(calls) for plan in plans}
        assert math.isclose(costs[told], min(costs.values()))
    assert turns[0].calls == 1
    assert all(one.calls < two.calls for one, two in zip(turns, turns[1:], strict=False))


def test_what_was_chosen_by_the_question_is_no_shared_prefix():
    count = make_counter(MODEL)
    prompt = read_prompt(TEXT)
    short = compress_prompt(prompt, CompressSettings(rate=0.7))
    size = measure_prompt(short, count, by_question=True)
    before = TEXT.split("Question:")[0]
    after = short.text.split("Question:")[0]
    assert size.prefix_before == count(before)
    assert 0 < size.prefix_after < count(after)
    free = measure_prompt(short, count, by_question=False)
    assert (free.prefix_before, free.prefix_after) == (size.prefix_before, count(after))


def test_a_prefix_that_was_not_chosen_stays_whole():
    count = make_counter(MODEL)
    spaced = TEXT.replace("Document", "\n\n\n\nDocument")
    short = compress_prompt(read_prompt(spaced), CompressSettings(tiers=("lossless",)))
    size = measure_prompt(short, count, by_question=True)
    assert size.prefix_after == count(short.text.split("Question:")[0])
    assert short.text != spaced


def test_a_share_that_the_user_knows():
    count = make_counter(MODEL)
    short = compress_prompt(read_prompt(TEXT), CompressSettings(rate=0.7))
    size = measure_prompt(short, count, by_question=False, cached_share=0.5)
    assert (size.prefix_before, size.prefix_after) == (size.before // 2, size.after // 2)
    whole = read_prompt("Bees live in hives. They make honey.")
    short = compress_prompt(whole, CompressSettings(tiers=("lossless",)), "Where do bees live?")
    size = measure_prompt(short, count, by_question=True)
    assert size.prefix_before == size.before
