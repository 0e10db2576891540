"""A model's answer to a batch, split into the answers of its inputs.

Read are a JSON object from id to answer, which is what is asked for; a list or lines of objects
`{id, answer}`; the same inside a fence, after words, or cut off; and lines "id: answer". Nothing
is taken by its position: what has no id has no owner.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, cast

from frugalctl.errors import BadLine, InputError
from frugalctl.levers.compress.concatenate import ANSWERS, IDS, RESERVED, WRAPPERS, Batch
from frugalctl.levers.compress.json_text import Number, encode_json, read_float, read_int
from frugalctl.levers.compress.records import read_records

Why = Literal["no answer for the batch", "missing", "answered twice, differently", "null"]
Pairs = list[tuple[str, Any]]

_MOST_STARTS = 50
_START = re.compile(r"^[ \t]*([\[{])", re.MULTILINE)
_GAP = re.compile(r"[\s,]*")
_SPACE = re.compile(r"\s*")
_FENCE = re.compile(r"\A.*?^```\w*[ \t]*\n(?=\s*[\[{])(.*?)(?:^```.*)?\Z", re.DOTALL | re.MULTILINE)


class _Object(list[tuple[str, Any]]):
    """The pairs of a JSON object, of which some may have one name."""


_decoder = json.JSONDecoder(
    object_pairs_hook=_Object, parse_float=read_float, parse_int=read_int, strict=False
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What was found in an answer.

    Attributes:
        pairs: names and answers in their order; None for a null.
        truncated: it ends, or breaks, in the middle.
    """

    pairs: tuple[tuple[str, str | None], ...]
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Split:
    """A batch and its answers.

    Attributes:
        batch: what was asked.
        answers: by the ids of its inputs, in their order.
        missing: ids without an answer that could be told, and why.
        repeated: ids answered twice alike, of which one answer is taken.
        unknown: names that no input of the batch has.
        reordered: the answers are in another order than the inputs.
        truncated: the answer ends, or breaks, in the middle.
    """

    batch: Batch
    answers: Mapping[str, str]
    missing: Mapping[str, Why]
    repeated: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    reordered: bool = False
    truncated: bool = False


def read_answers(lines: Iterable[bytes], *, source: str) -> dict[str, str | None]:
    """The answers of JSON lines `{id, response}`, by the ids of the batches.

    A response that is itself JSON, not a text, is written as one.

    Raises:
        BadLine: a line is none, or has an id that came before.
    """
    found: dict[str, str | None] = {}
    for number, record in read_records(lines, source=source, exact=True):
        name = record.get("id")
        if not isinstance(name, str) or "response" not in record:
            raise BadLine(
                "needs the id of a batch and its response",
                source=source,
                line=number,
                hint="a line is {id, response}; `frugalctl log convert` makes it of API logs",
            )
        if name in found:
            raise BadLine(f"the id {name!r} came before", source=source, line=number)
        response = record["response"]
        found[name] = response if isinstance(response, str | None) else _write_json(response)
    return found


def split_all(
    batches: Sequence[Batch], answers: Mapping[str, str | None], *, source: str
) -> list[Split]:
    """The answers of all batches.

    Raises:
        InputError: not one answer is for any of these batches.
    """
    if not any(batch.id in answers for batch in batches):
        raise InputError(
            "has no answer to any of these batches",
            where=source,
            hint="the ids of answers are those of the batches, as b1-...; were the items batched "
            "with another --k?",
        )
    return [split_answer(batch, answers.get(batch.id)) for batch in batches]


def split_answer(batch: Batch, response: str | None) -> Split:
    """The answers of one batch; None or "" stands for no answer at all."""
    ids = [item.id for item in batch.items]
    if response is None or not response.strip():
        return Split(batch, {}, dict.fromkeys(ids, "no answer for the batch"))
    names = _name_items(ids, batch.keys)
    try:
        reply = parse_answer(response, tuple(names))
    except RecursionError:
        reply = Reply((), truncated=True)
    found: dict[str, list[str | None]] = {}
    unknown: list[str] = []
    for name, answer in reply.pairs:
        if name in names:
            found.setdefault(names[name], []).append(answer)
        else:
            unknown.append(name)
    return Split(
        batch,
        {name: one for name in ids if (one := _settle(found.get(name))) is not None},
        {name: why for name in ids if (why := _explain(found.get(name)))},
        tuple(name for name in ids if len(found.get(name, ())) > 1 and not _explain(found[name])),
        tuple(dict.fromkeys(unknown)),
        list(found) != [name for name in ids if name in found],
        reply.truncated,
    )


def parse_answer(text: str, names: Sequence[str]) -> Reply:
    """The named answers of a text.

    Args:
        text: what the model said.
        names: those that may come, which lines "id: answer" are known by.
    """
    line = _match_lines(names)
    first = line.search(text)
    # An answer in lines may hold JSON with other ids, which then belongs to it.
    head = text if first is None else text[: first.start()]
    whole = _read_values(text, _match_end(_SPACE, text, 0))
    if whole.pairs:
        return whole
    fenced = _FENCE.match(text)
    if fenced is not None and fenced.start(1) <= len(head):
        inside = _read_values(fenced[1], 0)
        if inside.pairs:
            return inside
    for start in islice(_find_starts(text, len(head)), _MOST_STARTS):
        found = _read_values(text, start)
        if found.pairs:
            return found
    if re.search(r"^[ \t]*\{", head, re.MULTILINE):
        return Reply((), truncated=True)
    lines = tuple(_read_lines(text, line))
    return Reply(lines, truncated=whole.truncated and not lines)


def _find_starts(text: str, end: int) -> Iterator[int]:
    """Where JSON may begin: at the start of a line, else anywhere, before a line with an id."""
    yield from (at.start(1) for at in _START.finditer(text, 0, end))
    brace = text.find("{", 0, end)
    if brace >= 0:
        yield brace


def _name_items(ids: Sequence[str], keys: Sequence[str]) -> dict[str, str]:
    """The id of each name that an answer may use: the keys of the prompt, and the ids."""
    names = {name: name for name in ids if name.lower() not in RESERVED}
    return names | dict(zip(keys, ids, strict=True))


def _settle(found: list[str | None] | None) -> str | None:
    return found[0] if found and not _explain(found) else None


def _explain(found: list[str | None] | None) -> Why | None:
    if not found:
        return "missing"
    if len(set(found)) > 1:
        return "answered twice, differently"
    return "null" if found[0] is None else None


def _read_values(text: str, start: int) -> Reply:
    """The named answers of JSON values that follow each other, the last perhaps cut off."""
    pairs: list[tuple[str, str | None]] = []
    at = start
    while text[at : at + 1] in ("{", "["):
        try:
            value, end = _decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return Reply((*pairs, *_name_answers(_recover(text, at))), truncated=True)
        pairs += _name_answers(value)
        at = _match_end(_GAP, text, end)
    return Reply(tuple(pairs))


def _name_answers(value: Any) -> list[tuple[str, str | None]]:
    if not isinstance(value, _Object):
        items = cast("list[Any]", value) if isinstance(value, list) else []
        return [pair for item in items if isinstance(item, _Object) for pair in _name_answers(item)]
    fields = dict(value)
    identity = next((fields[name] for name in IDS if name in fields), None)
    answer = next((name for name in ANSWERS if name in fields), None)
    if identity is not None and answer is not None:
        return [(_write_text(identity) or "", _write_text(fields[answer]))]
    if len(value) == 1 and value[0][0] in WRAPPERS and isinstance(value[0][1], list):
        return _name_answers(value[0][1])
    # An entry {id, answer} that was cut off names an id, and answers nothing.
    return [(name, _write_text(one)) for name, one in value if name not in IDS]


def _recover(text: str, at: int) -> Any:
    """The whole entries of an object or a list that is cut off or broken."""
    is_object = text[at] == "{"
    found: Any = _Object() if is_object else []
    at = _match_end(_GAP, text, at + 1)
    while at < len(text):
        entry = _read_pair(text, at) if is_object else _read_value(text, at)
        if entry is None:
            inner = _find_inner(text, at) if is_object and not found else None
            return found if inner is None else _recover(text, inner)
        one, at = entry
        found.append(one)
        at = _match_end(_GAP, text, at)
    return found


def _find_inner(text: str, at: int) -> int | None:
    """Where the list or object of a wrapper such as {"answers": [ begins."""
    name = re.compile(rf'"(?:{"|".join(WRAPPERS)})"\s*:\s*(?=[\[{{])').match(text, at)
    return None if name is None else name.end()


def _read_pair(text: str, at: int) -> tuple[tuple[str, Any], int] | None:
    name = _read_value(text, at, ends=":")
    if name is None or not isinstance(name[0], str):
        return None
    start = _match_end(_SPACE, text, _match_end(_SPACE, text, name[1]) + 1)
    value = _read_value(text, start)
    return None if value is None else ((name[0], value[0]), value[1])


def _read_value(text: str, at: int, ends: str = ",}]") -> tuple[Any, int] | None:
    """A value that is surely whole: what follows it is what may follow one.

    A number may go on, and after a quotation mark that should have been escaped, text goes on.
    """
    try:
        value, end = _decoder.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None
    next_ = _match_end(_SPACE, text, end)
    after = text[next_ : next_ + 1]
    if after:
        return (value, end) if after in ends else None
    if ":" in ends or isinstance(value, int | float | Number):
        return None
    return value, end


def _match_end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return at if found is None else found.end()


def _match_lines(names: Sequence[str]) -> re.Pattern[str]:
    # The longest first, so that a name is not taken for the beginning of another.
    known = "|".join(re.escape(name) for name in sorted(names, key=lambda one: (-len(one), one)))
    return re.compile(
        rf"^[ \t]*(?:[-*•][ \t]+)?(\*\*|[`\"\[(])?({known})(?:\*\*|[`\"\])])?[ \t]*"
        rf"[:=](?:\*\*)?[ \t]*(.*)$",
        re.MULTILINE,
    )


def _read_lines(text: str, line: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    found = list(line.finditer(text))
    ends = [*(one.start() for one in found), len(text)]
    for one, end in zip(found, ends[1:], strict=True):
        answer = text[one.start(3) : end].strip()
        yield one[2], _unquote(answer) if one[1] == '"' else answer


def _unquote(answer: str) -> str:
    """An answer that is written as in JSON, by a model that left the braces out."""
    try:
        value, end = _decoder.raw_decode(answer)
    except (ValueError, RecursionError):
        return answer
    return value if isinstance(value, str) and not answer[end:].strip(" ,\n}") else answer


def _write_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return _write_json(value)


def _write_json(value: Any) -> str:
    return encode_json(_plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, _Object):
        return {name: _plain(one) for name, one in value}
    if isinstance(value, list):
        return [_plain(one) for one in cast("list[Any]", value)]
    return value
