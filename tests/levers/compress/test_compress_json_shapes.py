"""JSON documents: chats of every provider, and JSON that is none and stays JSON."""

import json

import pytest

from frugalctl.cli.compress_read import read_inputs
from frugalctl.errors import UsageError
from frugalctl.levers.compress.manifest import restore
from frugalctl.levers.compress.pipeline import compress_prompt
from frugalctl.levers.compress.prompt import read_prompt
from frugalctl.levers.compress.settings import CompressSettings

GEMINI = {
    "systemInstruction": {"parts": [{"text": "Never mention rents."}]},
    "contents": [
        {
            "role": "user",
            "parts": [{"text": "Contract 1 begins on 1 May. Rain fell on the old town all day."}],
        },
        {"role": "model", "parts": [{"text": "Noted."}, {"functionCall": {"name": "f"}}]},
        {"role": "user", "parts": [{"text": "When does contract 1 begin?"}]},
    ],
}


def test_gemini_bodies_are_chats():
    text = json.dumps(GEMINI)
    prompt = read_prompt(text)
    assert [(part.path, part.role) for part in prompt.parts] == [
        ("systemInstruction.parts[0].text", "system"),
        ("contents[0].parts[0].text", "user"),
        ("contents[1].parts[0].text", "assistant"),
        ("contents[2].parts[0].text", "user"),
    ]
    assert prompt.question == "When does contract 1 begin?"
    made = compress_prompt(prompt, CompressSettings(rate=0.75, embedder="none"))
    short = json.loads(made.text)
    assert short["contents"][0]["parts"][0]["text"] == "Contract 1 begins on 1 May."
    assert short["systemInstruction"] == GEMINI["systemInstruction"]
    assert restore(made.text, made.describe()) == text


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([{"id": at, "name": "Ann", "paid": True} for at in range(9)], indent=2),
        "".join(json.dumps({"id": at, "text": "It rained. " * 9}) + "\n" for at in range(9)),
        "\ufeff" + json.dumps({"rows": [{"a": 1, "b": 2}] * 5, "note": "A. B."}, indent=1),
    ],
)
def test_json_stays_json(text):
    prompt = read_prompt(text)
    made = compress_prompt(prompt, CompressSettings())

    def read(text):
        lines = text.lstrip("\ufeff")
        try:
            return json.loads(lines)
        except ValueError:
            return [json.loads(line) for line in lines.splitlines()]

    assert read(made.text) == read(text) and made.tokens_after <= made.tokens_before
    with pytest.raises(UsageError, match="too few"):
        compress_prompt(prompt, CompressSettings(rate=0.3))
    within = compress_prompt(
        read_prompt("The rows:\n\n" + text.lstrip("\ufeff") + "\n\nWho?"), CompressSettings()
    )
    assert len(within.text) < len(text)


@pytest.mark.parametrize(
    "lines",
    [
        [{"id": "a", "prompt": "One."}, {"id": "b", "prompt": "Two."}],
        [{"id": "a", "messages": [{"role": "user", "content": "One."}], "model": "m"}] * 1
        + [{"id": "b", "messages": [{"role": "user", "content": "Two."}], "model": "m"}],
        [{"id": "a", **GEMINI}, {"id": "b", "contents": GEMINI["contents"]}],
    ],
)
def test_lines_of_prompts_are_a_batch_whatever_their_file_is_called(tmp_path, lines):
    path = tmp_path / "lines.txt"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    (read,) = read_inputs([str(path)], as_lines=False, patterns=(), question=None)
    assert read.is_batch and [item.name for item in read.items] == ["a", "b"]
    path.write_text(json.dumps(lines[0]) + "\n\nIs this right?\n", "utf-8")
    (read,) = read_inputs([str(path)], as_lines=False, patterns=(), question=None)
    assert not read.is_batch
