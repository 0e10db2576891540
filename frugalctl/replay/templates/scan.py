"""Which requests of a log were made with which prompt, and how often its values change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import pyarrow as pa

from frugalctl.errors import BadLine, ConfigError, InputError
from frugalctl.log.schema import LogBatch
from frugalctl.log.times import RELATIVE_BEFORE_US, UNKNOWN_US
from frugalctl.replay.ledger import Integers
from frugalctl.replay.templates.doubt import Signs, remark_lookalikes, remark_values, settle
from frugalctl.replay.templates.infer import Shapes, infer_templates
from frugalctl.replay.templates.parse import Template
from frugalctl.replay.templates.rewrite import (
    ROLES_OF,
    Message,
    Renderer,
    Use,
    decode_messages,
    list_places,
    read_facts,
    write_change,
)
from frugalctl.replay.templates.spec import INFERRED, PromptSpec
from frugalctl.replay.templates.values import Facts, check_values, hash_texts
from frugalctl.tokens import count_messages, count_text

OpenLog = Callable[[], Iterable[LogBatch]]


@dataclass(slots=True)
class SlotCounts:
    """How often the values in a template change.

    Attributes:
        scopes: hashes of tenant and model, which share no cache.
        values: of each slot, hashes of these with its value.
        offsets: the characters before each slot, summed over all uses.
        uses: how many there were.
    """

    values: list[set[int]]
    offsets: list[int]
    scopes: set[str] = field(default_factory=set[str])
    uses: int = 0

    @staticmethod
    def of(template: Template) -> SlotCounts:
        """Nothing so far."""
        return SlotCounts([set() for _ in template.slots], [0] * len(template.slots))

    def add(self, template: Template, values: Sequence[str], scope: str) -> None:
        """Count one more text."""
        self.scopes.add(scope)
        self.uses += 1
        at = 0
        for number, value in enumerate(values):
            at += len(template.texts[number])
            self.offsets[number] += at
            at += len(value)
            self.values[number].add(hash_texts(scope, value))

    def find_share(self, slot: int) -> float:
        """How many values a slot has for each request, beyond one for a tenant and model."""
        return (len(self.values[slot]) - len(self.scopes)) / max(self.uses, 1)

    def find_offset(self, slot: int) -> float:
        """The mean number of characters before a slot."""
        return self.offsets[slot] / max(self.uses, 1)


@dataclass(slots=True)
class PromptUses:
    """The requests of one prompt.

    Attributes:
        rows: their numbers in the log.
        current: how many are in the log as the prompt will ship.
        shared: how many other prompts matched as well, and this one went first.
        old: the values of the texts as logged.
        new: the values of the texts made anew.
        signs: whether the old template and the new one fit the values in the log; None where the
            old one is known.
    """

    old: SlotCounts
    new: SlotCounts
    rows: list[int] = field(default_factory=list[int])
    current: int = 0
    shared: int = 0
    signs: tuple[Signs, Signs] | None = None


@dataclass(slots=True)
class Scan:
    """What a log has of the prompts.

    Attributes:
        specs: the prompts, with their old templates as far as these could be found.
        uses: of each prompt.
        picks: by request, what was found in it.
        changed: the requests that are rendered otherwise.
        requests: of the log.
        with_text: of them, those that show messages.
        unanswered: whether a request has outcomes only.
        times_us: the dates of those that have one, in microseconds since 1970.
        remarks: what a reader should know of how the prompts were read.
    """

    specs: tuple[PromptSpec, ...]
    uses: list[PromptUses]
    picks: dict[int, tuple[Use, ...]] = field(default_factory=dict[int, tuple[Use, ...]])
    changed: set[int] = field(default_factory=set[int])
    requests: int = 0
    with_text: int = 0
    unanswered: bool = False
    times_us: list[Integers] = field(default_factory=list[Integers])
    remarks: tuple[str, ...] = ()

    def note_times(self, times_us: Integers) -> None:
        """Keep the dates of a batch."""
        self.times_us.append(times_us[times_us >= RELATIVE_BEFORE_US])


def scan_log(open_log: OpenLog, specs: Sequence[PromptSpec]) -> Scan:
    """Find the prompts in a log.

    It is read twice if an old template must be worked out, and once more if placeholders of it turn
    out to stand for what are no values of theirs.

    Raises:
        InputError: no request shows its text, or none has any of the prompts.
        ConfigError: a prompt without a fixed word; a new placeholder without a value.
        BadLine: messages that are not a list of objects.
    """
    for spec in specs:
        _require_words(spec)
    scan = _find_prompts(open_log, tuple(_infer(open_log, specs)))
    settled = tuple(
        settle(spec, *uses.signs) if uses.signs else spec
        for spec, uses in zip(scan.specs, scan.uses, strict=True)
    )
    remarks = tuple(_remark(scan, settled))
    if settled != scan.specs:
        scan = _find_prompts(open_log, settled)
    scan.remarks = remarks
    _refuse_nothing(scan)
    return scan


def _remark(scan: Scan, settled: Sequence[PromptSpec]) -> Iterator[str]:
    for spec, after, uses in zip(scan.specs, settled, scan.uses, strict=True):
        for template, signs in zip((spec.old, spec.template), uses.signs or (), strict=False):
            if template is not None:
                yield from remark_values(spec, after, template, signs)
        yield from remark_lookalikes(spec, uses.current > 0)


def _find_prompts(open_log: OpenLog, specs: tuple[PromptSpec, ...]) -> Scan:
    scan = Scan(specs, [_start_uses(spec) for spec in specs])
    renderer = Renderer(specs)
    for batch in open_log():
        _note_batch(scan, batch)
        for facts, messages in _read_requests(batch, scan.requests):
            scan.with_text += bool(messages)
            uses = renderer.find(messages, facts)
            if uses:
                _add_uses(scan, renderer, facts, messages, uses)
        scan.requests += batch.requests.num_rows
    return scan


def _require_words(spec: PromptSpec) -> None:
    if not spec.known:
        raise ConfigError(
            "has nothing but placeholders, so it would be found in every request",
            where=spec.old_file or spec.file,
            hint="in prompts.toml, say what it replaces (was), or which task or tenant it is for",
        )


def _infer(open_log: OpenLog, specs: Sequence[PromptSpec]) -> Iterator[PromptSpec]:
    """The prompts, with old templates worked out from the texts that no template matches."""
    lacking = [spec for spec in specs if spec.old is None]
    if not lacking:
        yield from specs
        return
    groups = {_group(spec): Shapes() for spec in lacking}
    for batch in open_log():
        for facts, messages in _read_requests(batch, 0):
            for (role, filters), shapes in groups.items():
                if all(getattr(facts, key) == value for key, value in filters):
                    _add_shapes(shapes, messages, role, specs)
    found: dict[str, Template | None] = {}
    for group, shapes in groups.items():
        mine = [spec for spec in lacking if _group(spec) == group]
        if shapes.texts:
            old = infer_templates(shapes, [spec.template for spec in mine])
            found.update(zip((spec.name for spec in mine), old, strict=True))
    for spec in specs:
        old = found.get(spec.name)
        yield spec if old is None else replace(spec, old=old, old_from=INFERRED)


def _group(spec: PromptSpec) -> tuple[str, tuple[tuple[str, str], ...]]:
    return spec.role, tuple(spec.filters.items())


def _add_shapes(
    shapes: Shapes, messages: Sequence[Message], role: str, specs: Sequence[PromptSpec]
) -> None:
    templates = [one for spec in specs if spec.role == role for one, _ in spec.known]
    for place in list_places(messages, ROLES_OF[role]):
        if all(one.match(place.text) is None for one in templates):
            shapes.add(place.text)


def _read_requests(batch: LogBatch, first: int) -> Iterator[tuple[Facts, list[Message]]]:
    texts = batch.column("messages").to_pylist()
    for row, (facts, text) in enumerate(zip(read_facts(batch, first), texts, strict=True)):
        try:
            yield facts, decode_messages(text)
        except ValueError as error:
            line = int(batch.lines[row])
            raise BadLine(str(error), source=batch.source, line=line) from None


def _start_uses(spec: PromptSpec) -> PromptUses:
    if spec.old is not None and spec.is_changed:
        check_values(spec)
    old = spec.old or spec.template
    signs = None
    if spec.old_from in ("", INFERRED):
        signs = (Signs.of(old), Signs.of(spec.template))
    return PromptUses(SlotCounts.of(old), SlotCounts.of(spec.template), signs=signs)


def _note_batch(scan: Scan, batch: LogBatch) -> None:
    unnamed = batch.column("model").is_null().to_numpy(zero_copy_only=False)
    outcomes = batch.column("outcomes").is_valid().to_numpy(zero_copy_only=False)
    scan.unanswered |= bool((unnamed & outcomes).any())
    times = batch.column("timestamp").cast(pa.int64()).fill_null(UNKNOWN_US)
    scan.note_times(times.to_numpy(zero_copy_only=False))


def _add_uses(
    scan: Scan, renderer: Renderer, facts: Facts, messages: list[Message], uses: list[Use]
) -> None:
    kept: list[Use] = []
    for use in uses:
        known, spec = scan.uses[use.prompt], scan.specs[use.prompt]
        known.rows.append(facts.row)
        known.shared += use.rivals > 0
        known.current += use.is_current
        scope = f"{facts.tenant}\0{facts.model}"
        change = renderer.change(use, facts)
        known.new.add(spec.template, change.values, scope)
        if not use.is_current and spec.old is not None:
            known.old.add(spec.old, use.values, scope)
        if known.signs is not None:
            source = spec.template if use.is_current or spec.old is None else spec.old
            known.signs[use.is_current].add(spec, source, use.values, facts)
        if change.new != change.old:
            scan.changed.add(facts.row)
        kept.append(_forget_text(use))
    scan.picks[facts.row] = tuple(kept)


def _forget_text(use: Use) -> Use:
    """Where a prompt is, without the text, which the log tells again."""
    return replace(use, place=replace(use.place, text=""), values=())


def _refuse_nothing(scan: Scan) -> None:
    if scan.picks:
        return
    if not scan.with_text:
        raise InputError(
            "no request shows its messages, so no prompt can be found in the log",
            hint="the log needs messages, not usage alone",
        )
    names = ", ".join(spec.file for spec in scan.specs[:3])
    raise InputError(
        f"no request of the log has any of these prompts ({names})",
        hint="say what the log was rendered with: --base with the old templates, or `was` in "
        "prompts.toml",
    )


@dataclass(slots=True)
class CallRewriter:
    """Writes calls with prompts made anew; see `replay.prompt_cache.PromptRewriter`.

    Attributes:
        picks: by request, the prompts in it.
        renderer: makes them; None leaves everything as logged.
        rows: the request of each call so far.
    """

    picks: dict[int, tuple[Use, ...]]
    renderer: Renderer | None = None
    rows: list[int] = field(default_factory=list[int])

    def rewrite(self, first: int, row: Integers, requests: pa.RecordBatch) -> pa.RecordBatch:
        """The calls, with other messages, and input tokens that differ as much as the texts do."""
        numbers: list[int] = (row + first).tolist()
        self.rows += numbers
        if self.renderer is None:
            return requests
        texts = requests.column("messages").to_pylist()
        models = requests.column("model").to_pylist()
        added = [0] * len(texts)
        calls = LogBatch(requests, "", range(len(texts)))
        for at, facts in enumerate(read_facts(calls, 0)):
            picks = self.picks.get(numbers[at])
            if picks:
                known = replace(facts, row=numbers[at])
                texts[at], added[at] = self._write(texts[at], picks, known, models[at] or "")
        return _set_columns(requests, texts, added)

    def _write(
        self, text: str, picks: tuple[Use, ...], facts: Facts, model: str
    ) -> tuple[str, int]:
        assert self.renderer is not None
        messages = decode_messages(text)
        changes = [
            change
            for use in self.renderer.recall(messages, picks)
            if (change := self.renderer.change(use, facts)).new != change.old or change.tail
        ]
        if not changes:
            return text, 0
        added = sum(count_text(one.new, model) - count_text(one.old, model) for one in changes)
        written = write_change(messages, changes)
        if len(written) > len(messages):
            tails = written[len(messages) :]
            added += count_messages(tails, None, model) - count_messages([], None, model)
        return msgspec.json.encode(written).decode(), added


def _set_columns(requests: pa.RecordBatch, texts: list[str], added: list[int]) -> pa.RecordBatch:
    usage = requests.column("usage")
    names = [usage.type.field(at).name for at in range(usage.type.num_fields)]
    inputs = [
        None if count is None else max(count + more, 1)
        for count, more in zip(usage.field("input_tokens").to_pylist(), added, strict=True)
    ]
    children = [
        pa.array(inputs, pa.int64()) if name == "input_tokens" else usage.field(name)
        for name in names
    ]
    columns = {
        "usage": pa.StructArray.from_arrays(children, names, mask=usage.is_null()),
        "messages": pa.array(texts, pa.string()),
    }
    for name, column in columns.items():
        requests = requests.set_column(requests.schema.get_field_index(name), name, column)
    return requests
