"""How often what an answer needs survives a compression, at several rates.

A case has what a right answer says (`answers`, any one of which is enough) or the words that it is
drawn from (`evidence`, all of which are needed). They survive where they stand in the compressed
prompt letter for letter, white space aside. That bounds what a model could answer; it does not
say what it would.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from frugalctl.errors import BadLine, InputError, UsageError
from frugalctl.levers.compress.json_text import decode_exact
from frugalctl.levers.compress.pipeline import CompressedPrompt, compress_prompt
from frugalctl.levers.compress.prompt import Prompt, build_prompt, decode_text
from frugalctl.levers.compress.settings import CompressSettings


@dataclass(frozen=True, slots=True)
class Case:
    """A prompt, and what of it has to survive.

    Attributes:
        id: of the case.
        prompt: what is compressed, with its question.
        answers: any of these is enough; empty where there is evidence.
        evidence: all of these are needed; empty where there are answers.
    """

    id: str
    prompt: Prompt
    answers: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Retention:
    """What n cases keep at one rate.

    Attributes:
        factor: original tokens for each that may be left: 4 for a quarter.
        cases: how many were compressed; those whose answer is not in the original are not.
        kept: in how many the answer or all evidence survives.
        failed: of how many the budget could not be kept; none of them counts as kept.
        low: lower end of the exact 95 % interval of the share kept; NaN without cases.
        high: upper end.
        tokens_before: of the originals that could be compressed.
        tokens_after: of what they have become.
        seconds: that the compression took.
        cost_usd_before: input price of the originals; None where no price is known.
        cost_usd_after: of what they have become.
    """

    factor: float
    cases: int
    kept: int
    failed: int
    low: float
    high: float
    tokens_before: int
    tokens_after: int
    seconds: float
    cost_usd_before: float | None = None
    cost_usd_after: float | None = None

    @property
    def share(self) -> float:
        """The share of the cases that keep what they need; NaN without cases."""
        return self.kept / self.cases if self.cases else float("nan")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The rates of one set of cases.

    Attributes:
        rows: of each rate.
        unanswerable: ids of cases whose answer or evidence is not in the original.
    """

    rows: tuple[Retention, ...]
    unanswerable: tuple[str, ...]


def read_cases(
    lines: Iterable[bytes], *, source: str, patterns: Sequence[str] = ()
) -> Iterator[Case]:
    """Cases from JSON lines.

    A line is `{id?, documents | prompt | messages, question?, answers | evidence}`; a document is
    a text or `{title?, text}`. Without an id the number of the line is it.

    Raises:
        BadLine: a line is no such object.
    """
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            case = _read_case(decode_exact(decode_text(line, source)), number, patterns)
            if case.id in seen:
                raise InputError(f"the id {case.id!r} was on line {seen[case.id]}")
        except InputError as error:
            raise BadLine(error.message, source=source, line=number, hint=_SHAPE) from None
        seen[case.id] = number
        yield case


def evaluate(
    cases: Sequence[Case],
    factors: Sequence[float],
    settings: CompressSettings,
    *,
    usd_per_token: float | None = None,
) -> Evaluation:
    """Compress every case at every rate and look for what has to survive.

    Args:
        cases: of `read_cases`.
        factors: how many original tokens there may be for each that is left, above 1.
        settings: of the compression; its rate and target are replaced.
        usd_per_token: input price of the target model, None where it is not known.

    Raises:
        UsageError: a factor of 1 or less.
    """
    for factor in factors:
        if not factor > 1:
            raise UsageError(f"rate {factor:g} is not above 1", hint="2,4,6 is a half to a sixth")
    usable = [case for case in cases if survives(case, _join(case.prompt))]
    kept_ids = {id(case) for case in usable}
    return Evaluation(
        tuple(_measure(usable, factor, settings, usd_per_token) for factor in factors),
        tuple(case.id for case in cases if id(case) not in kept_ids),
    )


def survives(case: Case, text: str) -> bool:
    """Whether a text has one of the answers, or all of the evidence."""
    plain = _plain(text)
    if case.answers:
        return any(_plain(answer) in plain for answer in case.answers)
    return all(_plain(words) in plain for words in case.evidence)


def bound_share(kept: int, cases: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a share (Clopper and Pearson, Biometrika 26, 1934); NaN without cases.

    Args:
        kept: how many of the cases.
        cases: all of them.
        confidence: of the interval, in (0, 1).
    """
    # Slow to import.
    from scipy.special import betaincinv

    if not cases:
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    low = float(betaincinv(kept, cases - kept + 1, tail)) if kept else 0.0
    high = float(betaincinv(kept + 1, cases - kept, 1 - tail)) if kept < cases else 1.0
    return low, high


def join_documents(documents: Sequence[Any]) -> str:
    """The text of a prompt that has these documents, each a text or `{title?, text}`.

    Raises:
        InputError: a document is neither.
    """
    return "".join(
        f"Document [{number}]{_write_document(document)}\n\n"
        for number, document in enumerate(documents, 1)
    )


def _measure(
    cases: Sequence[Case], factor: float, settings: CompressSettings, usd_per_token: float | None
) -> Retention:
    settings = replace(settings, rate=1 / factor, target_tokens=None)
    kept = failed = before = after = 0
    start = time.perf_counter()
    made: list[CompressedPrompt | None] = [_compress(case, settings) for case in cases]
    seconds = time.perf_counter() - start
    for case, short in zip(cases, made, strict=True):
        if short is None:
            failed += 1
            continue
        kept += survives(case, "\n".join(part.text for part in short.parts))
        before += short.tokens_before
        after += short.tokens_after
    low, high = bound_share(kept, len(cases))
    return Retention(
        factor=factor,
        cases=len(cases),
        kept=kept,
        failed=failed,
        low=low,
        high=high,
        tokens_before=before,
        tokens_after=after,
        seconds=seconds,
        cost_usd_before=None if usd_per_token is None else before * usd_per_token,
        cost_usd_after=None if usd_per_token is None else after * usd_per_token,
    )


def _compress(case: Case, settings: CompressSettings) -> CompressedPrompt | None:
    try:
        return compress_prompt(case.prompt, settings, case.prompt.question)
    except UsageError:
        return None


def _read_case(value: Any, number: int, patterns: Sequence[str]) -> Case:
    if not isinstance(value, dict):
        raise InputError("is not an object")
    fields = cast("dict[str, Any]", value)
    answers, evidence = _read_texts(fields, "answers"), _read_texts(fields, "evidence")
    if bool(answers) == bool(evidence):
        raise InputError("needs either answers or evidence")
    identity, question = fields.get("id"), fields.get("question")
    if isinstance(identity, bool) or not isinstance(identity, str | int | None):
        raise InputError("the id is neither a text nor a whole number")
    if not isinstance(question, str | None):
        raise InputError("question is not a text")
    prompt = build_prompt({**_read_prompt(fields), "question": question}, patterns=patterns)
    return Case(str(number if identity is None else identity), prompt, answers, evidence)


def _read_prompt(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What of a case is the prompt, checked: one of its documents, its text and its messages."""
    held = {
        key: fields[key] for key in ("documents", "prompt", "messages", "input") if key in fields
    }
    if len(held) != 1:
        raise InputError("needs one list of documents, or a prompt, or messages")
    ((key, value),) = held.items()
    if key == "prompt":
        if not isinstance(value, str) or not value.strip():
            raise InputError("prompt is empty, or no text")
        return held
    items = cast("list[Any]", value) if isinstance(value, list) else []
    if not items:
        raise InputError(f"{key} is no list, or an empty one")
    if key == "documents":
        return {"prompt": join_documents(items)}
    if not all(isinstance(item, dict) for item in items):
        raise InputError(f"{key} is not a list of messages")
    return {name: fields[name] for name in (key, "system", "instructions") if name in fields}


def _read_texts(fields: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = fields.get(key)
    texts: Any = [value] if isinstance(value, str) else value or []
    if not isinstance(texts, list):
        raise InputError(f"{key} is not a list of texts")
    items = cast("list[Any]", texts)
    if not all(isinstance(item, str) and item.strip() for item in items):
        raise InputError(f"{key} has an item that is not a text, or an empty one")
    return tuple(items)


def _write_document(document: Any) -> str:
    if isinstance(document, str):
        return f" {document.strip()}"
    if isinstance(document, dict):
        fields = cast("dict[str, Any]", document)
        text, title = fields.get("text"), fields.get("title")
        if isinstance(text, str) and (title is None or isinstance(title, str)):
            return f"(Title: {title}) {text.strip()}" if title else f" {text.strip()}"
    raise InputError("a document is neither a text nor an object with one")


def _join(prompt: Prompt) -> str:
    return "\n".join(part.text for part in prompt.parts)


def _plain(text: str) -> str:
    return " ".join(text.split())


_SHAPE = "a line is {id, documents | prompt | messages, question, answers | evidence}"
