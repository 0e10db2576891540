"""Batch jobs: the lines of an input file joined with the lines of an output file.

Inputs and outputs carry a common key and come in either order, in one stream. What has not met
its other half is held in memory; outputs that never do are requests without messages. A key
that occurs again (two jobs in one log) is joined first come, first served. The service tier is
"batch".
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from frugalctl.log.formats.api import (
    ReadExchange,
    read_anthropic,
    read_gemini,
    read_openai,
)
from frugalctl.log.formats.base import Numbered, Record, RecordError
from frugalctl.log.formats.fields import is_mapping, mapping, moment, text, whole
from frugalctl.log.formats.reader import FAILED, Read, RecordReader, Skipped, write_notes

UNANSWERED = Skipped("batch input without an output", "batch inputs without an output")
BATCH = "batch"
_CANONICAL = frozenset({"messages", "usage", "outcomes"})
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class BatchShape:
    """How a provider writes its batch files.

    Attributes:
        name: the format's name.
        key: the field that input and output have in common.
        request: the field of an input line that holds the request.
        answers: fields of which an output line has at least one.
        open_answer: the response in an output line; None where the call failed, was cancelled
            or expired, and is not billed.
        read: reads the request and the response.
    """

    name: str
    key: str
    request: str
    answers: frozenset[str]
    open_answer: Callable[[Record], Record | None]
    read: ReadExchange


class BatchReader:
    """Joins the inputs and outputs of one provider's batches."""

    def __init__(self, shape: BatchShape) -> None:
        self.name = shape.name
        self._shape = shape
        self._inputs: dict[str, deque[Record]] = {}
        self._outputs: dict[str, deque[tuple[int, Record | None]]] = {}
        self._skipped: Counter[Skipped] = Counter()

    @property
    def notes(self) -> list[str]:
        """What was not billed, and inputs that nobody answered."""
        return write_notes(self._skipped)

    def matches(self, record: Record) -> bool:
        """Whether the record is a line of a batch file of this provider."""
        shape = self._shape
        if shape.key not in record or not _CANONICAL.isdisjoint(record):
            return False
        return (shape.request in record) != (not shape.answers.isdisjoint(record))

    def feed(self, record: Record, line: int) -> Iterable[Numbered]:
        """The request that this line completes, if its other half has come already."""
        key = text(record, self._shape.key)
        if key is None:
            raise RecordError(f"{self._shape.key} is missing")
        if is_mapping(record, self._shape.request):
            request = mapping(record, self._shape.request)
            held = _take(self._outputs, key)
            if held is None:
                self._inputs.setdefault(key, deque()).append(request)
                return []
            return self._join(request, *held)
        response = self._shape.open_answer(record)
        request = _take(self._inputs, key)
        if request is None:
            self._outputs.setdefault(key, deque()).append((line, response))
            return []
        return self._join(request, line, response)

    def finish(self) -> Iterable[Numbered]:
        """Outputs without an input, in their order; inputs without an output are counted."""
        unanswered = sum(map(len, self._inputs.values()))
        if unanswered:
            self._skipped[UNANSWERED] += unanswered
        held = sorted((o for queue in self._outputs.values() for o in queue), key=lambda o: o[0])
        self._inputs, self._outputs = {}, {}
        return [numbered for line, response in held for numbered in self._join({}, line, response)]

    def _join(self, request: Record, line: int, response: Record | None) -> list[Numbered]:
        if response is None:
            self._skipped[FAILED] += 1
            return []
        try:
            result = self._shape.read(request, response)
        except RecordError as error:
            raise RecordError(str(error), line) from None
        result.service_tier = BATCH
        return [(line, result)]


def _take(queues: dict[str, deque[_T]], key: str) -> _T | None:
    queue = queues.get(key)
    if queue is None:
        return None
    first = queue.popleft()
    if not queue:
        del queues[key]
    return first


def _open_openai(record: Record) -> Record | None:
    if record.get("error") or record.get("response") is None:
        return None
    if (whole(record, "response", "status_code") or 200) >= 400:
        return None
    if not is_mapping(record, "response", "body"):
        raise RecordError("response.body is missing")
    return mapping(record, "response", "body")


def _open_anthropic(record: Record) -> Record | None:
    if text(record, "result", "type") in ("errored", "expired", "canceled"):
        return None
    if not is_mapping(record, "result", "message"):
        raise RecordError("result.message is missing")
    return mapping(record, "result", "message")


def _open_gemini(record: Record) -> Record | None:
    if record.get("error") or not is_mapping(record, "response"):
        return None
    return mapping(record, "response")


def _is_vertex(record: Record) -> bool:
    return "processed_time" in record and "request" in record


def _read_vertex(record: Record) -> Read:
    response = mapping(record, "response")
    if not response or text(record, "status"):
        return [FAILED]
    result = read_gemini(mapping(record, "request"), response)
    result.service_tier = BATCH
    result.timestamp = result.timestamp or moment(record, "processed_time")
    return [result]


def readers() -> list[BatchReader | RecordReader]:
    """Readers of the batch files of OpenAI, Anthropic, the Gemini API and Vertex AI."""
    openai = frozenset({"response", "error"})
    return [
        BatchReader(
            BatchShape("OpenAI batch", "custom_id", "body", openai, _open_openai, read_openai)
        ),
        BatchReader(
            BatchShape(
                "Anthropic batch",
                "custom_id",
                "params",
                frozenset({"result"}),
                _open_anthropic,
                read_anthropic,
            )
        ),
        BatchReader(
            BatchShape("Gemini batch", "key", "request", openai, _open_gemini, read_gemini)
        ),
        RecordReader("Vertex AI batch", _is_vertex, _read_vertex),
    ]
