import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.errors import InputError
from frugalctl.levers.compress.manifest import restore, write_manifest, write_output
from frugalctl.levers.compress.pieces import CompressedPart, Piece
from frugalctl.levers.compress.prompt import build_prompt, read_prompt

TEXT = "\ufeffOne {x}.\r\nTwo 5 km.\r\nThree."
VALUE = {"messages": [{"role": "user", "content": "a é\n b"}, {"role": "tool", "content": "cd ef"}]}


def change(part, cuts):
    """Pieces that are kept, dropped, or replaced in turn, in reverse order of the output."""
    bounds = [0, *sorted({cut % (len(part.text) + 1) for cut in cuts}), len(part.text)]
    pieces = []
    for turn, (start, end) in enumerate(zip(bounds, bounds[1:], strict=False)):
        text = (part.text[start:end], "", "<>")[turn % 3]
        pieces.append(Piece(start, end, text, "" if turn % 3 == 0 else "x", 0.5))
    return CompressedPart(part, tuple(pieces), tuple(reversed(range(len(pieces)))))


def write(prompt, parts):
    output = write_output(prompt, parts)
    manifest = write_manifest(prompt, parts, output, tokens=(9, 5), model="m", warnings=["w"])
    return output, json.loads(json.dumps(manifest))


@given(st.text(st.characters(exclude_characters="\0"), max_size=60), st.lists(st.integers(0, 99)))
def test_any_text_comes_back(text, cuts):
    prompt = read_prompt(text, shape="text")
    output, manifest = write(prompt, [change(prompt.parts[0], cuts)])
    assert restore(output, manifest) == text


@pytest.mark.parametrize(
    "source",
    [
        json.dumps(VALUE),
        json.dumps(VALUE, ensure_ascii=False) + "\n",
        json.dumps(VALUE, indent=2) + "\r\n",
        json.dumps(VALUE, indent=4, ensure_ascii=False),
        json.dumps(VALUE, indent="\t"),
        json.dumps(VALUE, separators=(",", ":")),
        " " + json.dumps(VALUE),
        '{"messages":  [{"role":"user","content":"a \\u00e9 b"}], "n": 1e400, "m": [0.10, -0]}',
        '{"messages": [{"role": "user", "content": "lone \\ud800 half"}]}',
        "\ufeff" + json.dumps(VALUE),
    ],
)
def test_any_chat_file_comes_back(source):
    prompt = read_prompt(source)
    assert prompt.shape == "chat"
    parts = [change(part, [2, 3, 4]) for part in prompt.parts]
    output, manifest = write(prompt, parts)
    assert restore(output, manifest) == source
    texts = [message["content"] for message in json.loads(output)["messages"]]
    assert texts == [part.text for part in parts]


def test_the_output_is_written_as_the_original_was():
    for source in (json.dumps(VALUE, indent=2), json.dumps(VALUE, separators=(",", ":"))):
        prompt = read_prompt(source)
        same = [CompressedPart(p, (Piece(0, len(p.text), p.text),)) for p in prompt.parts]
        assert write_output(prompt, same) == source


def test_a_value_without_a_file_comes_back_as_compact_json():
    prompt = build_prompt(VALUE)
    output, manifest = write(prompt, [change(part, [1, 2]) for part in prompt.parts])
    assert json.loads(restore(output, manifest)) == VALUE


def test_what_the_manifest_says():
    prompt = read_prompt(TEXT)
    part = prompt.parts[0]
    pieces = (
        Piece(0, 11, TEXT[:11]),
        Piece(11, 11, "[note]", "inserted"),
        Piece(11, 22, "", "not relevant", -0.25),
        Piece(22, 28, TEXT[22:], "", 1.5),
    )
    output, manifest = write(prompt, [CompressedPart(part, pieces)])
    assert output == "\ufeffOne {x}.\r\n[note]Three."
    assert manifest["schema_version"] == 1
    assert manifest["original"]["chars"] == len(TEXT) and manifest["original"]["tokens"] == 9
    assert manifest["warnings"] == ["w"]
    described = manifest["parts"][0]["pieces"]
    assert described[0]["start"] == 0 and "text" not in described[0]
    assert described[1]["text"] == "[note]" and "original" not in described[1]
    assert described[2] == {
        "start": 11,
        "end": 22,
        "kind": "prose",
        "text": "",
        "original": "Two 5 km.\r\n",
        "reason": "not relevant",
        "score": -0.25,
    }
    assert described[3]["score"] == 1.5


@pytest.mark.parametrize(
    "harm",
    [
        lambda manifest: manifest.update(schema_version=2),
        lambda manifest: manifest.pop("parts"),
        lambda manifest: manifest.pop("output"),
        lambda manifest: manifest.update(parts=[]),
        lambda manifest: manifest.update(parts={"a": 1}),
        lambda manifest: manifest["parts"][0].update(order=[0, 99]),
        lambda manifest: manifest["parts"][0]["pieces"][0].pop("end"),
        lambda manifest: manifest["parts"][0]["pieces"][1].update(original="other"),
        lambda manifest: manifest["parts"][0]["pieces"].pop(),
        lambda manifest: manifest["original"].update(sha256="0"),
    ],
)
def test_a_manifest_that_was_changed(harm):
    prompt = read_prompt(TEXT)
    output, manifest = write(prompt, [change(prompt.parts[0], [5, 9])])
    harm(manifest)
    with pytest.raises(InputError):
        restore(output, manifest)


def test_another_output_or_no_manifest_at_all():
    prompt = read_prompt(TEXT)
    output, manifest = write(prompt, [change(prompt.parts[0], [5, 9])])
    with pytest.raises(InputError, match="not the output"):
        restore(output + " ", manifest)
    for other in (None, [], "x", {}, 3):
        with pytest.raises(InputError, match="not a manifest"):
            restore(output, other)
