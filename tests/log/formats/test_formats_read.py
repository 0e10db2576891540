import json
from pathlib import Path

import pyarrow as pa
import pytest
from formats_samples import CHAT, SAMPLES, Sample

from frugalctl.log.formats.base import Numbered
from frugalctl.log.formats.registry import readers
from frugalctl.log.schema import USAGE, USAGE_FIELDS, Usage
from frugalctl.log.usage import disjoint

EXAMPLES = Path(__file__).parents[4] / "shared" / "data" / "formats" / "log_formats.jsonl"


def read(records) -> tuple[list[Numbered], list[str], set[str]]:
    made = readers()
    found, names = [], set()
    for line, record in enumerate(records, start=1):
        matching = [reader for reader in made if reader.matches(record)]
        assert len(matching) == 1, [reader.name for reader in matching]
        names.add(matching[0].name)
        found += matching[0].feed(record, line)
    for reader in made:
        found += reader.finish()
    return found, [note for r in made for note in getattr(r, "notes", ())], names


def as_tuple(usage: Usage | None) -> tuple[int | None, ...]:
    assert usage is not None
    return tuple(getattr(usage, name) for name in USAGE_FIELDS)


def split(usage: Usage) -> tuple[int, ...]:
    row = {name: getattr(usage, name) for name in USAGE_FIELDS}
    return tuple(int(values[0]) for values in disjoint(pa.array([row], USAGE)).tokens.values())


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.format)
def test_reads_a_record_of_each_format(sample: Sample):
    found, notes, names = read(sample.records)
    assert names == {sample.format}
    assert notes == []
    [(_, request)] = found
    assert list(as_tuple(request.usage)) == sample.usage
    assert list(split(request.usage)) == sample.classes
    assert {name: getattr(request, name) for name in sample.fields} == sample.fields
    logged = bytes(request.messages)
    assert (json.loads(logged) if logged else None) == sample.messages


# Worked out by hand from the records: canonical usage, then the disjoint classes.
SHARED = {
    "openai.chat": ((2006, 1920, 0, None, 300, 120), (86, 1920, 0, 0, 180, 120)),
    "openai.responses": ((3300, 0, 3207, None, 64, 0), (93, 0, 3207, 0, 64, 0)),
    "openai.batch": ((9, None, None, None, 2, None), (9, 0, 0, 0, 2, 0)),
    "anthropic.messages": ((2098, 1800, 148, 100, 503, None), (50, 1800, 148, 100, 503, 0)),
    "anthropic.batch": ((10, 0, 0, None, 4, None), (10, 0, 0, 0, 4, 0)),
    "claude-code": ((24425, 22137, 2285, None, 512, None), (3, 22137, 2285, 0, 512, 0)),
    "gemini": ((11125, 7441, None, None, 429, 409), (3684, 7441, 0, 0, 20, 409)),
    "vertex": ((2, None, None, None, 2, None), (2, 0, 0, 0, 2, 0)),
    "deepseek": ((2048, 1920, None, None, 10, None), (128, 1920, 0, 0, 10, 0)),
    "litellm.Standard": ((2006, 1920, None, None, 300, None), (86, 1920, 0, 0, 300, 0)),
    "litellm.Spend": ((2006, None, None, None, 300, None), (2006, 0, 0, 0, 300, 0)),
    "langfuse": ((2006, 1920, None, None, 300, None), (86, 1920, 0, 0, 300, 0)),
    "otel": ((2006, 1920, 0, None, 300, 120), (86, 1920, 0, 0, 180, 120)),
    "openinference": ((2006, 1920, 0, None, 300, 120), (86, 1920, 0, 0, 180, 120)),
    "mooncake": ((6955, None, None, None, 52, None), (6955, 0, 0, 0, 52, 0)),
    "qwen": ((521, None, None, None, 132, None), (521, 0, 0, 0, 132, 0)),
}


def test_reads_every_shared_example():
    if not EXAMPLES.exists():
        pytest.skip("the shared examples of log formats are not beside this checkout")
    lines = [json.loads(line) for line in EXAMPLES.read_text().splitlines()]
    unread = {line["format"] for line in lines}
    for prefix, (usage, classes) in SHARED.items():
        chosen = [line for line in lines if line["format"].startswith(prefix)]
        unread -= {line["format"] for line in chosen}
        [(_, request)] = read(line["record"] for line in chosen)[0]
        assert as_tuple(request.usage) == usage, prefix
        assert split(request.usage) == classes, prefix
    assert not unread


def test_cuts_a_conversation_into_requests():
    found, _, names = read([CHAT])
    assert names == {"chat session"}
    requests = [request for _, request in found]
    assert [len(json.loads(bytes(r.messages))) for r in requests] == [2, 4]
    assert json.loads(bytes(requests[1].messages)) == CHAT["messages"][:4]
    assert [r.response for r in requests] == ["hello", '[{"id":"t"}]']
    assert [r.quality for r in requests] == [None, 1.0]
    assert {r.session for r in requests} == {"talk"}
    assert all(r.usage is None for r in requests)


def test_conversations_without_a_name_stay_apart():
    unnamed = {name: value for name, value in CHAT.items() if name != "session"}
    found, _, _ = read([unnamed, unnamed])
    assert [request.session for _, request in found] == ["chat-1", "chat-1", "chat-2", "chat-2"]


def test_a_reward_off_the_scale_is_no_quality():
    found, notes, _ = read([{**CHAT, "reward": 4}])
    assert found[-1][1].quality is None
    assert notes == ["1 reward is outside [0, 1] and not taken as quality"]


def test_a_canonical_request_is_of_no_format():
    canonical = [
        {"id": "1", "model": "m", "usage": {"input_tokens": 5, "output_tokens": 1}, "foo": 1},
        {"messages": [{"role": "user", "content": "hi"}], "response": "x", "key": "k"},
        {"messages": [{"role": "user", "content": "hi"}], "type": "chat", "sessionId": "s"},
        {"messages": [{"role": "user", "content": "hi"}], "type": "chat", "traceId": "s"},
        {"model": "m", "usage": {"input_tokens": 5}, "type": "chat", "traceId": "s"},
        {"id": "1", "outcomes": [{"model": "m"}], "custom_id": "c", "error": None},
        {
            "model": "m",
            "messages": [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}],
            "foo": 1,
        },
    ]
    for record in canonical:
        assert not [reader.name for reader in readers() if reader.matches(record)], record
