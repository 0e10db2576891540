"""What stands around a unit stays with it, goes with the last, and is missed aloud."""

import ast
import json
import re

import pytest

from frugalctl.errors import FrugalError
from frugalctl.levers.compress.budget import BudgetError
from frugalctl.levers.compress.fences import find_fenced
from frugalctl.levers.compress.pieces import Part, Piece
from frugalctl.levers.compress.pipeline import compress_prompt
from frugalctl.levers.compress.prompt import read_prompt
from frugalctl.levers.compress.protect import find_protected, verify_protected
from frugalctl.levers.compress.segments import parse_segments
from frugalctl.levers.compress.settings import CompressSettings

TEXTS = {
    "refunds": "Refunds take 14 days. The parcel has to come back in its box.",
    "shipping": "Shipping takes 3 days. The warehouse is in Rotterdam.",
    "history": "The firm began in 1962. Two sisters founded it with buttons.",
}
ASKED = "\n\nQuestion: How long does shipping take, and where is the warehouse?\n"


def compress(text, rate, **settings):
    return compress_prompt(read_prompt(text), CompressSettings(rate=rate, **settings))


@pytest.mark.parametrize(
    "label",
    ["Document {n}: {t}\n", "Document {n}:\n", "Source: {t}.md\n", "[{n}] ", "[{n}] {t}\n"]
    + ["File: {t}.md\n---\n", "문서 {n}: {t}\n", "Document [{n}](Title: {t}) "],
)
def test_a_label_stays_with_its_document_and_no_other(label):
    labels = [label.format(n=at, t=name) for at, name in enumerate(TEXTS, 1)]
    body = "\n\n".join(map("".join, zip(labels, TEXTS.values(), strict=True)))
    for rate in (0.5, 0.6, 0.8):
        short = compress(
            "You are a clerk. Answer from the texts and cite.\n\n" + body + ASKED, rate
        )
        for own, text in zip(labels, TEXTS.values(), strict=True):
            kept = [one for one in re.split(r"(?<=\.) ", text) if one in short.text]
            assert (own.strip() in short.text) == bool(kept)
            assert not kept or own + kept[0] in short.text
        assert "Shipping takes 3 days." in short.text


def test_a_fence_stays_though_its_body_goes():
    text = "Look.\n\n```sql\nSELECT 1;\n```\n\n```python\ndef total():\n    return 1\n```\n\n"
    short = compress(text + "What does total return?", 0.85)
    assert "def total" in short.text
    assert "SELECT" not in short.text
    assert short.text.count("```") == 4
    assert "dropped whole: code (1)" in short.warnings


SHOT = "Example 1:\nInput: a\n```sql\nSELECT 1;\n```\n\n"


def test_fences_go_with_an_exemplar_and_never_alone():
    text = SHOT + "Question: b?"
    segments = parse_segments(text, role="user")
    [found] = find_fenced(text, segments)
    part = Part(text, segments=segments, protected=find_protected(text, (), segments))
    inside = [one for one in segments if found.start <= one.start < found.end]
    pieces = [
        Piece(one.start, one.end, "" if one in inside else text[one.start : one.end], "gone")
        for one in segments
    ]
    verify_protected(part, pieces)
    for at in found.markers:
        broken = [
            Piece(one.start, one.end, text[one.start : one.end] if n == at else piece.text)
            for n, (one, piece) in enumerate(zip(segments, pieces, strict=True))
        ]
        with pytest.raises(FrugalError):
            verify_protected(part, broken)


def test_a_user_pattern_in_a_fence_line_stays():
    text = "Look.\n\n```sql\nSELECT 1;\n```\n\nThe sky is blue. What colour is the sky?"
    prompt = read_prompt(text, patterns=("sql",))
    assert "```sql" in compress_prompt(prompt, CompressSettings(rate=0.75)).text


def test_code_parses_at_every_rate():
    methods = "".join(
        f'    @wraps(f{at})\n    def f{at}(self):\n        """{"word " * 40}"""\n'
        f"        return {at}\n\n"
        for at in range(8)
    )
    code = f"import os\n\n\n@dataclass\nclass A:\n{methods}\ntry:\n    x = 1\nfinally:\n    y = 2\n"
    for rate in (0.9, 0.7, 0.5, 0.4):
        short = compress(f"Find the bug.\n\n```python\n{code}```\n\nWhy does f3 fail?", rate)
        kept = re.search(r"```python\n(.*?)```", short.text, re.DOTALL)[1]
        for node in ast.walk(ast.parse(kept)):
            if isinstance(node, ast.FunctionDef):
                assert len(node.decorator_list) == 1


def test_a_function_longer_than_the_target_is_cut_with_a_warning():
    body = "".join(f"    x{at} = compute({at})\n" for at in range(300))
    text = f"Find the bug.\n\n```python\ndef f():\n{body}```\n\nWhat is compute(17) in f?"
    short = compress(text, 0.3)
    assert "    x17 = compute(17)\n" in short.text
    assert short.tokens_after > 0.25 * short.tokens_before
    assert "cut between the statements within: f" in short.warnings


def test_what_matters_most_and_does_not_fit_is_said():
    row = "const total = [" + ", ".join(str(at) for at in range(400)) + "];"
    text = f"Look.\n\n```js\nlet a = 1;\n{row}\nlet b = 2;\n```\n\nWhat is in total?"
    assert any("does not fit" in one for one in compress(text, 0.4).warnings)


def test_dropped_exemplars_and_named_documents_are_said():
    shots = "".join(f"Input: parcel number {at} is late\nOutput: LATE\n\n" for at in range(4))
    text = f"Classify each ticket. Answer with one word.\n\n{shots}Input: {{ticket}}\nOutput:\n"
    assert "all 4 exemplars were dropped" in compress(text, 0.32).warnings
    body = "\n\n".join(
        f"Document {at}: {name}\n{text}" for at, (name, text) in enumerate(TEXTS.items())
    )
    asked = "\n\nQuestion: Where is the warehouse, and what says the history?"
    short = compress("Answer from the texts.\n\n" + body + asked, 0.5)
    if "history\n" not in short.text:
        assert any("names it: 'history'" in one for one in short.warnings)


@pytest.mark.parametrize("rate", [0.55, 0.7])
def test_no_message_is_emptied(rate):
    rows = [
        {"role": "user", "content": [{"type": "text", "text": f"The lot {at} is red. It is old."}]}
        for at in range(8)
    ]
    rows.insert(0, {"role": "user", "content": "Answers have to be in French. I like tea a lot."})
    rows.append({"role": "user", "content": "Which colour has lot 3?"})
    made = json.loads(compress(json.dumps(rows), rate).text)
    texts = [
        one["content"] if isinstance(one["content"], str) else one["content"][0]["text"]
        for one in made
    ]
    assert all(text.strip() for text in texts)
    assert "Answers have to be in French." in texts[0]


def test_messages_that_do_not_fit_are_an_error():
    rows = [{"role": "assistant", "content": f"The lot {at} is red."} for at in range(8)]
    with pytest.raises(BudgetError):
        compress(json.dumps(rows), 0.3)
