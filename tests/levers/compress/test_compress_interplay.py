"""What one tier wrote in place of something must not outlive what it speaks of."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.errors import UsageError
from frugalctl.levers.compress.pieces import Part, Segment
from frugalctl.levers.compress.pipeline import compress_prompt
from frugalctl.levers.compress.prompt import read_prompt
from frugalctl.levers.compress.protect import find_protected
from frugalctl.levers.compress.settings import CompressSettings

REFERENCE = re.compile(r"\[same (?:(\d+) paragraphs )?as above: (.*?) \.\.\.\]")
FOLD = re.compile(r"\n\[\d+ more like this")
BLOCKS = [
    "The pump is checked for leaks before every start of the engine. " * 5,
    "Only the {officer} on duty may open the main valve of the boiler. " * 5,
    "Fuel of 12 kg goes to https://example.org/a and is paid in 5 days. " * 5,
]
SHORT = ["Rain fell all night.", "Nobody saw the ship leave.", "What of the valve, then?"]
LOG = "".join(
    f"2026-11-02 09:15:{at:02d} INFO job {at} done in {at * 7} ms\n"
    f"2026-11-02 09:15:{at:02d} WARN queue {at % 3} is {at} long\n"
    for at in range(20)
)


def compress(text, rate, question=None):
    settings = CompressSettings(rate=rate, embedder="none", model="gpt-4o")
    return compress_prompt(read_prompt(text, shape="text"), settings, question, strict=False)


@given(
    st.lists(st.sampled_from([*BLOCKS, *SHORT]), min_size=3, max_size=14),
    st.floats(0.05, 0.99),
    st.sampled_from([None, "Is the pump checked?", "Who opens the valve?", "What of the rain?"]),
)
def test_no_reference_without_its_block(blocks, rate, question):
    made = compress("\n\n".join(block.strip() for block in blocks), rate, question)
    for match in REFERENCE.finditer(made.text):
        named = [block.strip() for block in BLOCKS if block.startswith(match[2])]
        assert len(named) == 1
        assert named[0] in made.text[: match.start()]


def test_a_reference_stays_where_nothing_goes_and_goes_first():
    text = f"{BLOCKS[0].strip()}\n\n{SHORT[0]}\n\n{BLOCKS[0].strip()}\n"
    assert REFERENCE.search(compress(text, None).text)
    assert not REFERENCE.search(compress(text, 0.5, "Is the pump checked?").text)


def test_blocks_with_placeholders_are_never_referenced():
    text = f"{BLOCKS[1].strip()}\n\n{SHORT[0]}\n\n{BLOCKS[1].strip()}\n"
    made = compress(text, None)
    assert made.text.count("{officer}") == text.count("{officer}")
    assert not REFERENCE.search(made.text)


@given(st.floats(0.01, 0.99), st.sampled_from([None, "How long is the queue?", "rain"]))
def test_no_summary_of_a_log_without_its_first_line(rate, question):
    made = compress(f"{SHORT[0]}\n\n{LOG}\n{SHORT[1]}\n", rate, question)
    for match in FOLD.finditer(made.text):
        line = made.text[: match.start()].rsplit("\n", 1)[-1]
        assert line and line in LOG


def test_digits_of_escapes_are_no_numbers():
    text = "\\uac00\\u1234 12 km, \\u00355 kg, C:\\\\u2024."
    spans = find_protected(text)
    assert [text[one.start : one.end] for one in spans] == ["12 km", "5 kg", "2024"]
    part = Part(text, segments=(Segment(0, len(text), "prose"),), protected=spans)
    assert part.protected[0].reason == "number"


def test_the_target_that_a_refusal_names_is_enough():
    text = "One {a} is here. Two is there.\n\nThree {b} comes. Four goes, and five, and six."
    with pytest.raises(UsageError, match="what has to stay is") as caught:
        compress_prompt(read_prompt(text), CompressSettings(target_tokens=1, embedder="none"))
    least = int(re.search(r"\d+", caught.value.hint)[0])
    made = compress_prompt(
        read_prompt(text), CompressSettings(target_tokens=least, embedder="none")
    )
    assert "{a}" in made.text and "{b}" in made.text
    assert made.tokens_after <= least


@pytest.mark.parametrize("text", ['["a  b"]', '[\n "<\'  \\t]"\n]', '["x", "y   z"]\n'])
def test_strings_of_short_arrays_keep_their_blanks(text):
    made = compress_prompt(read_prompt(text, shape="text"), CompressSettings())
    assert json.loads(made.text) == json.loads(text)
