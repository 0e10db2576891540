"""A pool of few-shot exemplars: solved inputs, of which a prompt shows some."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from frugalctl.errors import BadLine, InputError, UsageError
from frugalctl.levers.compress.records import Record, read_content, read_unique_records
from frugalctl.tokens.count import REPLY_TOKENS, count_messages, count_text

DEFAULT_TEMPLATE = "Input: {input}\nOutput: {output}"
SEPARATOR = "\n\n"
_QUERY_NAMES = ("input", "prompt", "question", "query", "text")
_POOL_HINT = "a line is {id, input, output, task?} or {id, messages, task?}"
_QUERY_HINT = f"a line is {{id, {' | '.join(_QUERY_NAMES)} | messages, task?}}"


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A solved input.

    Attributes:
        id: of the exemplar.
        input: what is asked.
        output: what the answer is.
        task: what it is an exemplar of, None if it does not say.
        messages: where it is a chat, all of it; else None.
        record: its line.
    """

    id: str
    input: str
    output: str
    task: str | None
    messages: tuple[Record, ...] | None
    record: Record


@dataclass(frozen=True, slots=True)
class Query:
    """A question that exemplars are chosen for.

    Attributes:
        id: of the question.
        text: itself.
        task: whose exemplars may serve it; None for all.
    """

    id: str
    text: str
    task: str | None = None


def read_pool(lines: Iterable[bytes], *, source: str) -> list[Exemplar]:
    """The exemplars of JSON lines, each `{id?, input, output, task?}` or `{id?, messages, task?}`.

    The last message of a chat is the answer of the assistant. Exemplars are texts or chats, and a
    pool has one kind of them.

    Raises:
        BadLine: a line is no such object, is of another kind, or has an id that came before.
        InputError: there is none.
    """
    pool: list[Exemplar] = []
    for number, name, record in read_unique_records(lines, source=source):
        try:
            found = _read_exemplar(name, record)
        except InputError as error:
            raise BadLine(error.message, source=source, line=number, hint=_POOL_HINT) from None
        if pool and (pool[0].messages is None) != (found.messages is None):
            raise BadLine(
                "a pool has either chats or texts, and this one has both",
                source=source,
                line=number,
            )
        pool.append(found)
    if not pool:
        raise InputError("has no exemplars", where=source, hint=_POOL_HINT)
    return pool


def read_queries(lines: Iterable[bytes], *, source: str) -> list[Query]:
    """The questions of JSON lines, each `{id?, input, task?}`, or `messages`, or a log's line.

    Raises:
        BadLine: a line has no question, or an id that came before.
        InputError: there is none.
    """
    queries: list[Query] = []
    for number, name, record in read_unique_records(lines, source=source):
        try:
            queries.append(Query(name, read_question(record), _read_task(record)))
        except InputError as error:
            raise BadLine(error.message, source=source, line=number, hint=_QUERY_HINT) from None
    if not queries:
        raise InputError("has no questions", where=source, hint=_QUERY_HINT)
    return queries


def read_question(record: Record) -> str:
    """What a line asks: one of several names, or the last message of the user.

    Raises:
        InputError: it asks nothing, or two things.
    """
    named = [name for name in _QUERY_NAMES if record.get(name) is not None]
    if len(named) + (record.get("messages") is not None) != 1:
        raise InputError(f"needs one of {', '.join(_QUERY_NAMES)} and messages")
    if named:
        return _require_text(record, named[0])
    messages = _read_messages(record["messages"])
    asked = [item for item in messages if item.get("role", "user") == "user"]
    text = read_content(asked[-1].get("content")) if asked else ""
    if not text.strip():
        raise InputError("has no message of a user with text")
    return text


def write_exemplars(chosen: Sequence[Exemplar], template: str) -> str:
    """Exemplars as they stand in a prompt, whole, each followed by an empty line.

    Chats are written a message a paragraph, its role before it.
    """
    return "".join(_write(one, template) + SEPARATOR for one in chosen)


def make_measure(model: str, template: str) -> Callable[[Sequence[Exemplar]], int]:
    """A function that counts the tokens that exemplars add to a prompt of a model."""

    def measure(chosen: Sequence[Exemplar]) -> int:
        texts = [one for one in chosen if one.messages is None]
        chats = [message for one in chosen for message in one.messages or ()]
        tokens = count_messages(chats, None, model) - REPLY_TOKENS
        return tokens + count_text(write_exemplars(texts, template), model)

    return measure


def check_template(template: str) -> str:
    r"""A template with its `\n` and `\t` made what they stand for.

    Raises:
        UsageError: it lacks {input} or {output}.
    """
    for name in ("{input}", "{output}"):
        if name not in template:
            raise UsageError(f"--template lacks {name}", hint="as in 'Q: {input}\\nA: {output}'")
    return template.replace("\\n", "\n").replace("\\t", "\t")


def find_contradictions(pool: Sequence[Exemplar]) -> list[tuple[str, str]]:
    """Ids of exemplars of one task that ask the same and answer it differently."""
    first: dict[tuple[str, str | None], Exemplar] = {}
    found: list[tuple[str, str]] = []
    for one in pool:
        known = first.setdefault((" ".join(one.input.split()), one.task), one)
        if known.output.strip() != one.output.strip():
            found.append((known.id, one.id))
    return found


def _write(one: Exemplar, template: str) -> str:
    if one.messages is not None:
        return SEPARATOR.join(
            f"{item.get('role', 'user')}: {read_content(item.get('content'))}"
            for item in one.messages
        )
    # In one pass, so that an input that says {output} stays as it is.
    head, _, tail = template.partition("{input}")
    return one.input.join(part.replace("{output}", one.output) for part in (head, tail))


def _read_exemplar(name: str, record: Record) -> Exemplar:
    task = _read_task(record)
    if record.get("messages") is None:
        asked, answer = _require_text(record, "input"), _require_text(record, "output")
        return Exemplar(name, asked, answer, task, None, record)
    if "input" in record or "output" in record:
        raise InputError("needs either input and output, or messages")
    messages = _read_messages(record["messages"])
    if messages[-1].get("role") != "assistant":
        raise InputError("the last message is not the assistant's")
    asked = read_question({"messages": messages[:-1]})
    answer = read_content(messages[-1].get("content"))
    return Exemplar(name, asked, answer, task, tuple(messages), record)


def _read_messages(value: Any) -> list[Record]:
    items = cast("list[Any]", value) if isinstance(value, list) else []
    if not items or not all(isinstance(item, dict) for item in items):
        raise InputError("messages is not a list of messages")
    return cast("list[Record]", items)


def _read_task(record: Record) -> str | None:
    task = record.get("task")
    if task is not None and not isinstance(task, str):
        raise InputError("task is not a text")
    return task


def _require_text(record: Record, name: str) -> str:
    text = record.get(name)
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"{name} is missing, empty or not a text")
    return text
