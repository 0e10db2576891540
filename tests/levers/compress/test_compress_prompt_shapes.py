import json

import pytest

from frugalctl.errors import BadLine, InputError
from frugalctl.levers.compress.pieces import CompressedPart, Piece
from frugalctl.levers.compress.prompt import (
    build_prompt,
    decode_text,
    read_batch,
    read_prompt,
    rebuild_value,
)

CHAT = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Look."}, {"type": "image"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": '{"a": 1}'}}],
        },
        {"role": "tool", "tool_call_id": "1", "content": '{"b": [1, 2, 3]}'},
        {"role": "user", "content": "Is it three?"},
    ],
}


def shout(prompt):
    return [
        CompressedPart(part, (Piece(0, len(part.text), part.text.upper(), "x"),))
        for part in prompt.parts
    ]


def test_chat_parts():
    prompt = read_prompt(json.dumps(CHAT))
    assert prompt.shape == "chat"
    assert [(part.path, part.role, part.text) for part in prompt.parts] == [
        ("messages[0].content", "system", "Be brief."),
        ("messages[1].content[0].text", "user", "Look."),
        ("messages[2].tool_calls[0].function.arguments", "assistant", '{"a": 1}'),
        ("messages[3].content", "tool", '{"b": [1, 2, 3]}'),
        ("messages[4].content", "user", "Is it three?"),
    ]
    assert [part.segments[0].kind for part in prompt.parts] == [
        "instruction",
        "prose",
        "tool_call",
        "json",
        "question",
    ]
    assert prompt.parts[2].segments[0].locked
    assert prompt.question == "Is it three?"


def test_rebuilding_keeps_the_shape_and_the_value():
    prompt = build_prompt(CHAT)
    made = rebuild_value(prompt, shout(prompt))
    assert made["messages"][0]["content"] == "BE BRIEF."
    assert made["messages"][1]["content"] == [{"type": "text", "text": "LOOK."}, {"type": "image"}]
    assert made["model"] == "m" and CHAT["messages"][0]["content"] == "Be brief."


def test_anthropic_shape():
    value = {
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [
            {"role": "assistant", "content": [{"type": "tool_use", "input": {"a": 1}}]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "content": [{"type": "text", "text": "rows"}]},
                    {"type": "tool_result", "content": "more"},
                    "plain",
                ],
            },
        ],
    }
    prompt = build_prompt(value)
    assert [(part.path, part.role) for part in prompt.parts] == [
        ("system[0].text", "system"),
        ("messages[1].content[0].content[0].text", "tool"),
        ("messages[1].content[1].content", "tool"),
        ("messages[1].content[2]", "user"),
    ]
    made = rebuild_value(prompt, shout(prompt))
    assert made["messages"][1]["content"][2] == "PLAIN"


def test_lists_of_messages_and_texts():
    assert read_prompt('[{"role": "user", "content": "a"}]').shape == "chat"
    assert read_prompt('[{"a": 1}]').shape == "text"
    assert read_prompt('{"a": 1}').shape == "text"
    assert read_prompt("{a}").shape == "text"
    assert read_prompt(json.dumps(CHAT), shape="text").shape == "text"
    with pytest.raises(InputError, match="messages"):
        read_prompt("hello", shape="chat")


def test_the_question_given_goes_first():
    text = "Text.\n\nQuestion: why?"
    assert read_prompt(text).question == "why?"
    assert read_prompt(text, question="how?").question == "how?"
    assert read_prompt("Just a text.").question is None
    value = {"id": 7, "prompt": text, "question": "who?"}
    assert build_prompt(value).question == "who?" and build_prompt(value).id == "7"


def test_labels_and_cues_are_not_part_of_the_question():
    assert read_prompt("Text.\n\nQuestion: why so?\nAnswer:").question == "why so?"
    assert read_prompt("Text.\n\n# Question\nWhy so?").question == "Why so?"
    assert read_prompt("글이다.\n\n질문: 왜 그런가?\n답변:").question == "왜 그런가?"


def test_a_long_last_message_without_a_question_is_content():
    messages = [{"role": "user", "content": "It rained on the town. " * 200}]
    assert build_prompt(messages).question is None


def test_files_that_are_not_text():
    with pytest.raises(InputError, match="binary") as caught:
        decode_text(b"a\nb\0c", "x.bin")
    assert caught.value.where == "x.bin:2"
    with pytest.raises(InputError, match="UTF-8: byte 0xff at offset 4") as caught:
        decode_text(b"a\nb\n\xff", "x.txt")
    assert caught.value.where == "x.txt:3"
    assert decode_text(b"\xef\xbb\xbfa\r\n", "x") == "\ufeffa\r\n"


def test_a_batch():
    lines = [
        b'{"id": "a", "prompt": "Text.\\n\\nWhy?"}\n',
        b"\n",
        b'{"id": "b", "messages": [{"role": "user", "content": "Hi?"}], "model": "m"}\n',
    ]
    prompts = list(read_batch(lines, source="x.jsonl"))
    assert [(one.id, one.question) for one in prompts] == [("a", "Why?"), ("b", "Hi?")]
    assert rebuild_value(prompts[0], shout(prompts[0]))["prompt"] == "TEXT.\n\nWHY?"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "is not JSON"),
        (b"[1]", "not an object"),
        (b'{"id": "b"}', "prompt or messages"),
        (b'{"prompt": "x", "messages": []}', "prompt or messages"),
        (b'{"id": "a", "prompt": "x"}', "was on line 1"),
        (b"\xff", "UTF-8"),
        (b'{"prompt": "\0"}', "binary"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"prompt": "<!-- compress: poem -->a<!-- /compress -->"}', "unknown kind"),
    ],
)
def test_bad_lines_of_a_batch(line, message):
    lines = [b'{"id": "a", "prompt": "x"}', line]
    with pytest.raises(BadLine, match=message) as caught:
        list(read_batch(lines, source="x.jsonl"))
    assert (caught.value.source, caught.value.line) == ("x.jsonl", 2)
