"""What `frugalctl compress` prints: prompts, what changed in them, what they cost."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, cast

from frugalctl.cli.compress_options import CompressFormat
from frugalctl.cli.compress_read import TEXT_KEYS, Input, Item
from frugalctl.cli.compress_write import (
    Targets,
    dump_json,
    dump_line,
    encode_result,
)
from frugalctl.cli.console import note, render_tables, wants_colour
from frugalctl.errors import PriceError
from frugalctl.levers.compress.pipeline import CompressedPrompt
from frugalctl.levers.compress.settings import CompressSettings, dump_compress_table

if TYPE_CHECKING:
    from frugalctl.levers.compress.money import InputPrices
    from frugalctl.report.compress import CompressReport

REPORTS = (
    CompressFormat.table,
    CompressFormat.json,
    CompressFormat.markdown,
    CompressFormat.csv,
)
_REPORT_OF = {
    ".json": CompressFormat.json,
    ".md": CompressFormat.markdown,
    ".markdown": CompressFormat.markdown,
    ".csv": CompressFormat.csv,
}
_COLOURS = {"-": "31", "+": "32", "@": "36"}
_MOST_NOTES = 5


@dataclass(frozen=True, slots=True)
class Made:
    """A prompt and what it has become."""

    item: Item
    short: CompressedPrompt


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything that can be printed of a run.

    Attributes:
        inputs: as they were read.
        made: of each input, its prompts.
        settings: of the compression.
        calls: how often each prompt is sent.
        cached_share: the share of a prompt that all calls begin with; None to look for it.
        as_of_us: whose prices hold, in microseconds since 1970; None for the book's day.
        seconds: that the compression took.
    """

    inputs: Sequence[Input]
    made: Sequence[Sequence[Made]]
    settings: CompressSettings
    calls: int
    cached_share: float | None
    as_of_us: int | None
    seconds: float

    @property
    def all(self) -> list[Made]:
        """The prompts of all inputs."""
        return [one for own in self.made for one in own]


def render_files(
    shown: Shown,
    targets: Targets,
    chosen: CompressFormat,
    diff_html: str | None,
    report: str | None,
) -> list[tuple[str, str | None]]:
    """The text of each file that was asked for."""
    page, told = "", ""
    if diff_html is not None:
        from frugalctl.report.compress_diff import render_html_diff

        page = render_html_diff([(one.item.name, one.short) for one in shown.all])
    if report is not None:
        told = _render_report(shown, _REPORT_OF.get(PurePath(report).suffix.lower()), report)
    texts = _write_texts(shown, chosen) if any(targets.prompts) else [""] * len(shown.inputs)
    manifests = [
        _write_manifest(one, made) if file is not None else ""
        for file, one, made in zip(targets.manifests, shown.inputs, shown.made, strict=True)
    ]
    files = [
        *zip(texts, targets.prompts, strict=True),
        *zip(manifests, targets.manifests, strict=True),
        (page, diff_html),
        (told, report),
    ]
    return [(text, file) for text, file in files if file is not None]


def join_prompts(shown: Shown, chosen: CompressFormat) -> str:
    """All results for stdout; those of several files under their names."""
    texts = _write_texts(shown, chosen)
    if len(texts) == 1 or chosen is CompressFormat.jsonl:
        return "".join(texts)
    if all(one.is_batch for one in shown.inputs):
        return "".join(texts)
    named = zip(shown.inputs, texts, strict=True)
    return "\n".join(
        f"==> {one.name} <==\n{text}" + ("" if text.endswith("\n") else "\n") for one, text in named
    )


def render_shown(shown: Shown, *, diff: bool, explain: bool, chosen: CompressFormat) -> str:
    """The diff, the pieces dropped and the report, as far as asked for; "" if nothing is."""
    told: list[str] = []
    if diff:
        told.append(_render_diff(shown))
    if explain:
        from frugalctl.report.compress_layout import lay_out_dropped

        tables = [lay_out_dropped(one.item.name, one.short) for one in shown.all]
        told.append(render_tables(tables, None))
    if chosen in REPORTS:
        told.append(_render_report(shown, chosen, None))
    return "\n".join(told)


def tell_result(shown: Shown, *, has_report: bool) -> None:
    """Say on stderr what was saved, and what to beware of."""
    settings = shown.settings
    named = len(shown.all) > 1
    warned = [(one.item.where, text) for one in shown.all for text in one.short.warnings]
    for where, text in warned[:_MOST_NOTES]:
        note(f"{where}: {text}" if named else text)
    if len(warned) > _MOST_NOTES:
        note(f"{len(warned) - _MOST_NOTES:,} more warnings; --format json or jsonl has them all")
    if has_report:
        return
    from frugalctl.report.compress_layout import describe_caching, describe_saving

    report = _make_report(shown)
    note(describe_saving(report))
    caching = describe_caching(report)
    if caching:
        note(caching)
    asked = settings.rate is not None or settings.target_tokens is not None or settings.auto
    if not asked and settings.method == "extractive" and "lossy" in settings.tiers:
        note("no budget, so content was only written shorter: see --rate, --target-tokens, --auto")


def _write_texts(shown: Shown, chosen: CompressFormat) -> list[str]:
    """The result of each input."""
    texts: list[str] = []
    for one, made in zip(shown.inputs, shown.made, strict=True):
        if one.is_batch or chosen is CompressFormat.jsonl:
            lines = (dump_line(encode_result(each.item.id, each.short)) for each in made)
            texts.append("".join(lines))
        else:
            texts.append(made[0].short.text)
    return texts


def _write_manifest(one: Input, made: Sequence[Made]) -> str:
    if not one.is_batch:
        return dump_json(made[0].short.describe(), indent=1) + "\n"
    return "".join(
        dump_line({"id": each.item.id, **_keep_line(each), **each.short.describe()})
        for each in made
    )


def _keep_line(made: Made) -> dict[str, Any]:
    """What the line of a batch says besides the prompt, whose place is kept, for `restore`."""
    line = made.item.line
    if line is None:
        return {}
    texts = ("prompt", *TEXT_KEYS)
    return {"line": {key: None if key in texts else one for key, one in line.items()}}


def _render_diff(shown: Shown) -> str:
    from frugalctl.report.compress_diff import diff_prompt
    from frugalctl.report.tables import printable

    colour = wants_colour()
    lines: list[str] = []
    for one in shown.all:
        for line in diff_prompt(one.item.name, one.short):
            text = printable(str(line))
            lines.append(f"\x1b[{_COLOURS[line.mark]}m{text}\x1b[0m" if colour else text)
    return "".join(f"{line}\n" for line in lines) or "No changes.\n"


def _render_report(shown: Shown, chosen: CompressFormat | None, target: str | None) -> str:
    from frugalctl.report.compress import render_compress_csv, render_compress_json
    from frugalctl.report.compress_layout import lay_out_compress, render_compress_markdown

    report = _make_report(shown)
    if chosen is CompressFormat.json:
        return render_compress_json(report)
    if chosen is CompressFormat.csv:
        return render_compress_csv(report)
    if chosen is CompressFormat.markdown:
        return render_compress_markdown(report)
    return render_tables(lay_out_compress(report), target)


def _make_report(shown: Shown) -> CompressReport:
    from frugalctl.levers.compress.budget import make_counter
    from frugalctl.levers.compress.money import is_chosen_by_question, measure_prompt
    from frugalctl.report.compress import PromptRow, build_compress_report
    from frugalctl.report.compress_layout import count_pieces

    settings = shown.settings
    count = make_counter(settings.model)
    by_question = settings.method != "llmlingua2"
    rows = [
        PromptRow(
            one.item.name,
            measure_prompt(
                one.short, count, by_question=by_question, cached_share=shown.cached_share
            ),
            one.short.budget_tokens,
            *count_pieces(one.short),
            one.short.warnings,
            _count_tools(one.short),
        )
        for one in shown.all
    ]
    digest = hashlib.sha256(b"".join(one.digest for one in shown.inputs)).hexdigest()
    return build_compress_report(
        rows,
        dump_compress_table(settings),
        model=settings.model,
        prices=find_prices(settings.model, shown.as_of_us),
        calls=shown.calls,
        by_question=by_question and any(is_chosen_by_question(one.short) for one in shown.all),
        input_sha256=digest,
        seconds=shown.seconds,
        cached_share=shown.cached_share,
    )


def _count_tools(short: CompressedPrompt) -> int:
    """Tokens of the tool definitions of a chat, as compact JSON."""
    from frugalctl.tokens import count_json

    value = short.prompt.value
    if not isinstance(value, dict):
        return 0
    fields = cast("dict[str, Any]", value)
    return sum(
        count_json(fields[key], short.model) for key in ("tools", "functions") if fields.get(key)
    )


def find_prices(model: str, as_of_us: int | None) -> InputPrices | PriceError:
    """The prices of a model, or why there are none."""
    from frugalctl.levers.compress.money import load_prices
    from frugalctl.prices import load_book

    try:
        return load_prices(load_book(), model, as_of_us=as_of_us)
    except PriceError as error:
        return error
