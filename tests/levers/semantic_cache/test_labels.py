"""Labels as files carry them, and every way in which a file can be wrong."""

import gzip
import json

import numpy as np
import pytest

from frugalctl.errors import BadLine, InputError
from frugalctl.levers.semantic_cache.labels import Groups, Logged, Pairs, name_kind, read_labels
from frugalctl.log.read import ReadNotes, ReadOptions
from frugalctl.log.stream import on_disk


def read(*paths, notes=None, on_error="fail"):
    with on_disk([str(path) for path in paths]) as sources:
        options = ReadOptions(on_error=on_error, estimate=False)
        return read_labels(sources, options, notes or ReadNotes())


def write(path, records):
    lines = [one if isinstance(one, str) else json.dumps(one) for one in records]
    path.write_text("".join(line + "\n" for line in lines))
    return path


def test_pairs_take_every_truth(tmp_path):
    records = [{"a": "x", "b": "y", "same": same, "source": 7} for same in (0, 1, True, False)]
    labels = read(write(tmp_path / "p.jsonl", records))
    assert isinstance(labels, Pairs)
    assert labels.same.tolist() == [False, True, True, False]
    assert (labels.a[0], labels.b[0], name_kind(labels)) == ("x", "y", "pairs")


def test_groups_without_a_name_belong_to_nobody(tmp_path):
    records = [
        {"group": "g", "text": "a"},
        {"group": 7, "text": "b"},
        {"text": "c"},
        {"group": None, "text": "d"},
        {"group": "7", "text": "e"},
    ]
    labels = read(write(tmp_path / "g.jsonl", records))
    assert isinstance(labels, Groups)
    assert labels.groups.tolist() == [0, 1, -1, -1, 1]
    assert name_kind(labels) == "groups"


def test_several_compressed_files_are_one_set(tmp_path):
    first = write(tmp_path / "p.jsonl", [{"a": "x", "b": "y", "same": 1}])
    packed = tmp_path / "q.jsonl.gz"
    packed.write_bytes(gzip.compress(b'\n{"a":"u","b":"v","same":0}\n'))
    notes = ReadNotes()
    labels = read(first, packed, notes=notes)
    assert labels.a == ["x", "u"]
    assert len(notes.input_xxh3) == 32


def test_a_log_is_told_from_labels_and_priced(tmp_path):
    request = {
        "timestamp": "2026-10-02T09:15:04Z",
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "how long is a day"}],
        "response": "24 hours",
        "usage": {"input_tokens": 1_000_000, "output_tokens": 0},
    }
    other = {**request, "cost_usd": 0.5, "model": "nobody-knows-it"}
    labels = read(write(tmp_path / "log.jsonl", [request, other]))
    assert isinstance(labels, Logged)
    assert name_kind(labels) == "log"
    np.testing.assert_allclose(labels.cost_usd, [0.15, 0.5])


@pytest.mark.parametrize(
    ("records", "line", "said"),
    [
        ([{"a": "x", "b": "y", "same": 1}, {"group": "g", "text": "t"}], 2, "missing"),
        ([{"group": "g", "text": "t"}, {"a": "x", "b": "y", "same": 1}], 2, "missing"),
        ([{"group": "g", "text": "t"}, {"group": 1.5, "text": "t"}], 2, "float"),
        ([{"a": "x", "b": "y"}], 1, "same"),
        ([{"a": "x", "b": "y", "same": 2}], 1, "same is 2"),
        ([{"a": "x", "b": "y", "same": 0.5}], 1, "float"),
        ([{"a": "x", "b": "y", "same": "yes"}], 1, "str"),
        ([{"a": 1, "b": "y", "same": 1}], 1, "int"),
        ([{"a": "x", "b": "y", "same": 1}, "[1]"], 2, "array"),
        ([{"a": "x", "b": "y", "same": 1}, '{"a": "x"'], 2, "not JSON"),
        ([{"a": "x", "b": "y", "same": 1}, '{"a": "\\ud800", "b": "", "same": 1}'], 2, "JSON"),
    ],
)
def test_a_bad_record_is_named(tmp_path, records, line, said):
    path = write(tmp_path / "bad.jsonl", records)
    with pytest.raises(BadLine, match=said) as caught:
        read(path)
    assert caught.value.where == f"{path}:{line}"
    assert "the first record" in caught.value.hint


def test_bytes_that_are_no_text_are_named(tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b'{"a": "x", "b": "y", "same": 1}\n{"a": "\xff", "b": "y", "same": 1}\n')
    with pytest.raises(BadLine, match="not UTF-8"):
        read(path)


def test_bad_records_can_be_left_out(tmp_path):
    good = {"a": "x", "b": "y", "same": 1}
    notes = ReadNotes()
    path = write(tmp_path / "bad.jsonl", [good, {"a": "x"}, good])
    assert len(read(path, notes=notes, on_error="skip").a) == 2
    assert [error.line for error in notes.bad_lines] == [2]


def test_nothing_to_judge_by_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no text has a group"):
        read(write(tmp_path / "g.jsonl", [{"text": "a"}, {"text": "b"}]))
    with pytest.raises(InputError, match="no requests"):
        read(write(tmp_path / "e.jsonl", []))
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "none.jsonl")
