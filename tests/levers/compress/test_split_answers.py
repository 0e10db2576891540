"""Answers of a batch, taken apart: whatever their form, each is its own input's or nobody's."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.errors import BadLine, InputError
from frugalctl.levers.compress.concatenate import Item, plan_batches
from frugalctl.levers.compress.split_answers import read_answers, split_all, split_answer

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(
    [
        '{"b": "forged"}',
        "b: forged",
        '", "b": "forged',
        "```\n{}\n```",
        "여보세요 🙂\n\n2. x",
        "null",
    ]
)
IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12) | st.sampled_from(
    ["id", "answer", "Key", "#1", "##2", "a", "A", "1", "items", '"', "x\ny", "  "]
)


def batch_of(ids):
    return plan_batches([Item(name, f"text of {name}", {"id": name}) for name in ids], "P", 99)[0]


ABC = batch_of(["a", "b", "c"])


@st.composite
def asked(draw):
    batch = batch_of(draw(st.lists(IDS, min_size=1, max_size=6, unique=True)))
    return batch, {item.id: draw(TEXTS) for item in batch.items}


def as_mapping(keys, answers, indent):
    return json.dumps(dict(zip(keys, answers, strict=True)), ensure_ascii=False, indent=indent)


def as_list(keys, answers, indent):
    pairs = [{"id": k, "answer": a} for k, a in zip(keys, answers, strict=True)]
    return json.dumps(pairs, indent=indent)


def as_wrapped(keys, answers, indent):
    return '{"answers": ' + as_list(keys, answers, indent) + "}"


def as_lines(keys, answers, indent):
    return "\n".join(json.dumps({"id": k, "answer": a}) for k, a in zip(keys, answers, strict=True))


@given(
    asked(),
    st.sampled_from([as_mapping, as_list, as_wrapped, as_lines]),
    st.sampled_from([None, 2]),
    st.sampled_from(["{}", "```json\n{}\n```", "Here they are:\n{}\nThat is all.", " \n{}\n"]),
    st.randoms(use_true_random=False),
)
def test_a_well_formed_answer_gives_exactly_the_items(case, write, indent, around, random):
    batch, answers = case
    pairs = list(zip(batch.keys, answers.values(), strict=True))
    random.shuffle(pairs)
    keys, texts = [key for key, _ in pairs], [text for _, text in pairs]
    split = split_answer(batch, around.replace("{}", write(keys, texts, indent)))
    assert split.answers == answers
    assert list(split.answers) == list(answers)
    assert (split.missing, split.unknown, split.repeated) == ({}, (), ())
    assert not split.truncated
    assert split.reordered == (keys != list(batch.keys))


@given(asked(), st.data())
def test_a_cut_answer_never_gives_a_wrong_one(case, data):
    batch, answers = case
    write = data.draw(st.sampled_from([as_mapping, as_list, as_wrapped, as_lines]))
    whole = write(batch.keys, answers.values(), data.draw(st.sampled_from([None, 2])))
    cut = data.draw(st.integers(0, len(whole) - 1))
    split = split_answer(batch, whole[:cut])
    assert split.answers.items() <= answers.items()
    assert split.answers.keys() | split.missing.keys() == answers.keys()
    assert not split.answers.keys() & split.missing.keys()


@given(st.text(max_size=200) | st.text('{}[]":,ab\n`#1*- ', max_size=60))
def test_no_answer_whatever_it_says_is_an_error(text):
    split = split_answer(ABC, text)
    assert split.answers.keys() | split.missing.keys() == {"a", "b", "c"}


def test_entries_before_a_cut_are_kept():
    split = split_answer(ABC, '{"a": "one", "b": "two", "c": "thr')
    assert split.answers == {"a": "one", "b": "two"}
    assert split.missing == {"c": "missing"}
    assert split.truncated


def test_a_number_at_a_cut_may_go_on():
    assert split_answer(ABC, '{"a": 1, "b": 12').answers == {"a": "1"}


def test_a_missing_brace_alone_loses_nothing():
    assert split_answer(ABC, '{"a": "1", "b": "2", "c": "3"').missing == {}


def test_unescaped_quotation_marks_forge_no_answer():
    split = split_answer(ABC, '{\n"a": "he said "hi", "b": "forged"",\n"b": "mine"\n}')
    assert split.answers == {}
    assert split.truncated


@pytest.mark.parametrize(
    "text",
    [
        "a: one\nb: two\nmore\n\nc: three",
        "Sure!\n- **a:** one\n- **b**: two\nmore\n- **c:** three\n",
        "[a]: one\n[b]: two\nmore\n[c]: three",
        '"a": "one",\n"b": "two\\nmore",\n"c": "three"',
    ],
)
def test_lines_with_ids(text):
    assert split_answer(ABC, text).answers == {"a": "one", "b": "two\nmore", "c": "three"}


def test_json_in_an_answer_by_lines_belongs_to_it():
    split = split_answer(ABC, 'a: here\n{"b": "forged"}\nc: no')
    assert split.answers == {"a": 'here\n{"b": "forged"}', "c": "no"}
    assert split.missing == {"b": "missing"}


def test_an_id_that_begins_another_is_not_taken_for_it():
    batch = batch_of(["1", "12"])
    assert split_answer(batch, "12: twelve\n1: one").answers == {"1": "one", "12": "twelve"}


def test_two_answers_of_one_id():
    split = split_answer(ABC, '{"a": "x", "b": "y", "a": "x", "b": "z", "c": null}')
    assert split.answers == {"a": "x"}
    assert split.repeated == ("a",)
    assert split.missing == {"b": "answered twice, differently", "c": "null"}


def test_unknown_ids_and_values_that_are_no_text():
    split = split_answer(ABC, '{"zz": "?", "a": 3, "b": {"x": [1, "é"]}, "c": true}')
    assert split.answers == {"a": "3", "b": '{"x": [1, "é"]}', "c": "true"}
    assert split.unknown == ("zz",)


def test_nothing_is_taken_by_its_place():
    assert split_answer(ABC, '["x", "y", "z"]').answers == {}


def test_the_id_itself_is_understood_where_the_prompt_has_a_number():
    batch = batch_of(["a long id with words"])
    assert batch.keys == ("#1",)
    for name in ("#1", "a long id with words"):
        assert split_answer(batch, json.dumps({name: "x"})).answers == {batch.items[0].id: "x"}


def test_deep_nesting_is_no_answer():
    assert split_answer(ABC, '{"a": ' + "[" * 100_000).answers == {}
    deep = '{"a": ' + "[" * 900 + "]" * 900 + "}"
    assert split_answer(ABC, deep).answers.keys() <= {"a"}


@pytest.mark.parametrize("response", [None, "", " \n"])
def test_no_answer_at_all(response):
    assert set(split_answer(ABC, response).missing.values()) == {"no answer for the batch"}


def test_files_of_answers():
    lines = [b'{"id": "b1", "response": {"a": "x"}}', b"", b'{"id": "b2", "response": null}']
    assert read_answers(lines, source="f") == {"b1": '{"a": "x"}', "b2": None}
    for bad in ([lines[0], lines[0]], [b'{"id": "b1"}'], [b"[]"], [b"{"], [b'{"id": "\xff"}']):
        with pytest.raises(BadLine) as error:
            read_answers(bad, source="f")
        assert str(error.value).startswith(f"f:{len(bad)}: ")
    with pytest.raises(InputError, match="no answer to any"):
        split_all([ABC], {"other": "x"}, source="f")
