import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_formats_read import as_tuple

from frugalctl.log.formats.base import RecordError
from frugalctl.log.schema import USAGE
from frugalctl.log.usage import (
    disjoint,
    read_anthropic_usage,
    read_gemini_usage,
    read_langfuse_usage,
    read_openai_usage,
    read_openinference_usage,
    read_response_usage,
    read_span_usage,
)

OPENAI = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
GEMINI = {"promptTokenCount": 100, "candidatesTokenCount": 20, "totalTokenCount": 120}
SPAN = {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20}
PHOENIX = {"llm.token_count.prompt": 100, "llm.token_count.completion": 20}


@pytest.mark.parametrize(
    ("read", "usage", "message"),
    [
        (read_openai_usage, {**OPENAI, "total_tokens": 121}, "stated total"),
        (read_gemini_usage, {**GEMINI, "totalTokenCount": 121}, "stated total"),
        (read_langfuse_usage, {"input": 5, "output": 5, "total": 11}, "stated total"),
        (read_span_usage, {**SPAN, "gen_ai.usage.total_tokens": 121}, "stated total"),
        (read_openinference_usage, {**PHOENIX, "llm.token_count.total": 121}, "stated total"),
        (
            read_openai_usage,
            {**OPENAI, "prompt_tokens_details": {"cached_tokens": 101}},
            "do not fit",
        ),
        (read_gemini_usage, {**GEMINI, "cachedContentTokenCount": 101}, "do not fit"),
        (read_span_usage, {**SPAN, "gen_ai.usage.cache_read.input_tokens": 101}, "do not fit"),
        (
            read_openinference_usage,
            {**PHOENIX, "llm.token_count.prompt_details.cache_write": 101},
            "do not fit",
        ),
        (
            read_openai_usage,
            {**OPENAI, "completion_tokens_details": {"reasoning_tokens": 21}},
            "do not fit",
        ),
        (
            read_openai_usage,
            {**OPENAI, "prompt_cache_hit_tokens": 60, "prompt_cache_miss_tokens": 30},
            "hits and 30 misses",
        ),
        (
            read_anthropic_usage,
            {
                "input_tokens": 1,
                "cache_creation_input_tokens": 9,
                "cache_creation": {"ephemeral_1h_input_tokens": 8},
            },
            "add up to 8",
        ),
    ],
)
def test_counts_that_disagree_are_refused(read, usage, message):
    with pytest.raises(RecordError, match=message):
        read(usage)


@pytest.mark.parametrize("bad", [-1, 1.5, math.nan, math.inf, "12", True, [1], 2**60])
@pytest.mark.parametrize(
    ("read", "usage", "name"),
    [
        (read_openai_usage, OPENAI, "prompt_tokens"),
        (read_openai_usage, OPENAI, "prompt_cache_hit_tokens"),
        (read_anthropic_usage, {"input_tokens": 1}, "cache_read_input_tokens"),
        (read_gemini_usage, GEMINI, "thoughtsTokenCount"),
        (read_langfuse_usage, {"input": 1}, "output"),
        (read_span_usage, SPAN, "gen_ai.usage.output_tokens"),
        (read_openinference_usage, PHOENIX, "llm.token_count.completion"),
    ],
)
def test_counts_that_are_no_counts_are_refused(read, usage, name, bad):
    with pytest.raises(RecordError, match=name):
        read({**usage, name: bad})


def test_details_that_are_no_object_are_refused():
    with pytest.raises(RecordError, match="prompt_tokens_details"):
        read_openai_usage({**OPENAI, "prompt_tokens_details": 5})


@pytest.mark.parametrize(
    "read",
    [
        read_openai_usage,
        read_anthropic_usage,
        read_gemini_usage,
        read_langfuse_usage,
        read_span_usage,
        read_openinference_usage,
    ],
)
def test_usage_without_an_input_count_is_unknown(read):
    assert read({}) is None


def test_nulls_and_whole_floats_are_read():
    usage = {**OPENAI, "prompt_tokens": 100.0, "prompt_tokens_details": None}
    assert as_tuple(read_openai_usage(usage)) == (100, None, None, None, 20, None)


def test_an_embedding_has_no_output():
    assert as_tuple(read_openai_usage({"prompt_tokens": 8, "total_tokens": 8}))[4] == 0


def test_a_missing_output_stays_unknown():
    assert as_tuple(read_openai_usage({"prompt_tokens": 8}))[4] is None


def test_anthropic_without_a_split_writes_for_five_minutes():
    usage = {"input_tokens": 3, "cache_creation_input_tokens": 70, "output_tokens": 1}
    assert as_tuple(read_anthropic_usage(usage)) == (73, None, 70, None, 1, None)


def test_the_keys_tell_the_convention_apart():
    anthropic = {"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 1}
    assert as_tuple(read_response_usage(anthropic))[0] == 100
    responses = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 90},
        "output_tokens": 1,
    }
    assert as_tuple(read_response_usage(responses))[0] == 100
    assert as_tuple(read_response_usage(GEMINI))[0] == 100


def test_gemini_thoughts_already_among_the_candidates_are_not_added_again():
    usage = {"thoughtsTokenCount": 15}
    inside = read_gemini_usage({**GEMINI, **usage})
    beside = read_gemini_usage({**GEMINI, **usage, "totalTokenCount": 135})
    assert (as_tuple(inside)[4], as_tuple(beside)[4]) == (20, 35)


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({"input": 10, "input_cached_tokens": 90, "output": 5}, (100, 90, None, None, 5, None)),
        ({"input": 10, "input_cache_read": 90, "output": 5}, (100, 90, None, None, 5, None)),
        ({"input": 10, "input_cache_creation_1h": 7}, (17, None, None, 7, None, None)),
        (
            {"input": 10, "input_audio_tokens": 4, "output_audio_tokens": 2},
            (14, None, None, None, 2, None),
        ),
        # LiteLLM's exporter: 120 prompt tokens, of them 90 read and 20 written.
        (
            {
                "input": 30,
                "cache_read_input_tokens": 90,
                "cache_creation_input_tokens": 20,
                "output": 5,
                "total": 125,
            },
            (120, 90, 20, None, 5, None),
        ),
    ],
)
def test_langfuse_keys(details, expected):
    assert as_tuple(read_langfuse_usage(details)) == expected


counts = st.integers(0, 2**40)


@given(counts, counts, counts, counts, counts)
def test_anthropic_classes_sum_to_what_was_counted(fresh, read, write, write_1h, output):
    usage = read_anthropic_usage(
        {
            "input_tokens": fresh,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": write + write_1h,
            "cache_creation": {
                "ephemeral_5m_input_tokens": write,
                "ephemeral_1h_input_tokens": write_1h,
            },
            "output_tokens": output,
        }
    )
    row = dict(zip(USAGE.names, as_tuple(usage), strict=True))
    tokens = disjoint(pa.array([row], USAGE)).tokens
    assert [int(v[0]) for v in tokens.values()] == [fresh, read, write, write_1h, output, 0]


def test_disjoint_tells_unknown_usage_from_none_used():
    rows = [
        None,
        {"input_tokens": 10, "cache_read_tokens": 4, "output_tokens": 6, "reasoning_tokens": 2},
        {"input_tokens": 0, "output_tokens": 0},
    ]
    table = pa.array([{"input_tokens": 99}, *rows], USAGE).slice(1)
    split = disjoint(table)
    assert split.known.tolist() == [False, True, True]
    assert split.tokens["fresh_input"].tolist() == [0, 6, 0]
    assert split.tokens["output"].tolist() == [0, 4, 0]
    assert sum(split.tokens.values()).tolist() == [0, 16, 0]
    assert all(values.dtype == np.int64 for values in split.tokens.values())


def test_disjoint_of_nothing():
    assert all(len(v) == 0 for v in disjoint(pa.array([], USAGE)).tokens.values())
