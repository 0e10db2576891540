from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.errors import ConfigError, UsageError
from frugalctl.levers.compress.settings import (
    EMBEDDERS,
    REORDERS,
    TIERS,
    CompressSettings,
    dump_compress_table,
    parse_compress_table,
)

tables = st.fixed_dictionaries(
    {},
    optional={
        "tiers": st.lists(st.sampled_from(TIERS), min_size=1, unique=True),
        "rate": st.floats(0.01, 1),
        "model": st.just("gpt-4o"),
        "protect": st.lists(st.just("[A-Z]+")),
        "embedder": st.sampled_from(EMBEDDERS),
        "reorder": st.sampled_from(REORDERS),
        "neighbours": st.integers(0, 9),
        "docstrings": st.booleans(),
        "json": st.booleans(),
        "auto": st.booleans(),
    },
)


@given(tables)
def test_dump_is_the_inverse_of_parse(table):
    settings = parse_compress_table(table)
    assert parse_compress_table(dump_compress_table(settings)) == settings


def test_nothing_said_is_nothing_dumped():
    assert parse_compress_table({}) == CompressSettings()
    assert dump_compress_table(CompressSettings()) == {}


def test_every_setting_can_be_read_back():
    table = {
        "tiers": ["lossy", "lossless"],
        "method": "llmlingua2",
        "llm": "m",
        "device": "cuda:0",
        "target_tokens": 5,
        "seed": 3,
        "whitespace": False,
    }
    settings = parse_compress_table(table)
    assert settings.tiers == ("lossless", "lossy")
    dumped = dump_compress_table(settings)
    assert dumped == {**table, "tiers": ["lossless", "lossy"]}
    assert set(dumped) <= {item.name for item in fields(CompressSettings)}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"rte": 0.5}, "unknown key 'rte'"),
        ({"rate": 0}, "rate 0 "),
        ({"rate": 1.5}, "rate 1.5 "),
        ({"rate": float("nan")}, "rate nan"),
        ({"rate": True}, "rate is not a number"),
        ({"target_tokens": 0}, "target_tokens"),
        ({"target_tokens": 2.5}, "target_tokens"),
        ({"rate": 0.5, "target_tokens": 5}, "give one"),
        ({"tiers": ["lossles"]}, "unknown tier 'lossles'"),
        ({"tiers": "lossless"}, "list of texts"),
        ({"method": "magic"}, "unknown method"),
        ({"method": ["extractive"]}, "unknown method"),
        ({"method": "llmlingua2"}, "needs a model"),
        ({"json": "yes"}, "true or false"),
        ({"protect": [1]}, "list of texts"),
        ({"model": ""}, "model is not a text"),
        ({"tiers": []}, "names one of"),
        ({"coarse": True}, "coarse is for"),
        ({"llm": "x"}, "llm is for"),
        ({"method": "llmlingua2", "llm": "x", "tiers": ["lossless"]}, "without the lossy tier"),
        ({"protect": ["("]}, "not a regular expression"),
        ({"protect": ["x*"]}, "matches the empty text"),
    ],
)
def test_bad_tables(table, message):
    with pytest.raises(ConfigError, match=message):
        parse_compress_table(table)


def test_bad_settings_in_code():
    with pytest.raises(UsageError):
        CompressSettings(rate=0)
    with pytest.raises(UsageError):
        CompressSettings(target_tokens=-1)
