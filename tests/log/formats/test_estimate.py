import json

import msgspec
import pytest

from frugalctl.log.estimate import estimate_usage
from frugalctl.log.formats.base import RecordError
from frugalctl.log.schema import Outcome, Request, Usage


def request(messages, **fields) -> Request:
    return Request(messages=msgspec.Raw(json.dumps(messages).encode()), **fields)


HELLO = [{"role": "user", "content": "hello world"}]


def test_counts_messages_and_response():
    usage = estimate_usage(request(HELLO, model="gpt-4o", response="hello"))
    assert usage == Usage(9, output_tokens=1)


def test_an_outcome_brings_its_model_and_response():
    outcome = Outcome(model="gpt-4", response="hello world")
    usage = estimate_usage(request(HELLO, model="gpt-4o"), outcome)
    assert usage == Usage(9, output_tokens=2)


def test_the_default_model_counts_where_none_is_named():
    korean = [{"role": "user", "content": "안녕하세요, 반갑습니다"}]
    new = estimate_usage(request(korean, response=""), default_model="gpt-4o")
    old = estimate_usage(request(korean, response=""), default_model="gpt-4")
    assert new is not None and old is not None
    assert new.input_tokens < old.input_tokens


@pytest.mark.parametrize(
    "unknown",
    [
        Request(response="hello"),
        request(None, response="hello"),
        request([], response="hello"),
        request(HELLO),
        request([{"role": "user", "content": [{"type": "image_url"}]}], response="a cat"),
    ],
)
def test_what_text_does_not_tell_stays_unknown(unknown):
    assert estimate_usage(unknown) is None


@pytest.mark.parametrize("messages", ["hello", {"role": "user"}, ["hello"], 5])
def test_malformed_messages_are_refused(messages):
    with pytest.raises(RecordError, match="messages"):
        estimate_usage(request(messages, response="hello"))


def test_malformed_tools_are_refused():
    with pytest.raises(RecordError, match="tools"):
        estimate_usage(request(HELLO, response="hello", tools=msgspec.Raw(b"{}")))
