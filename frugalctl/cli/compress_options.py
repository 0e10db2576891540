"""Options of `frugalctl compress`, and the settings that they make."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frugalctl.errors import UsageError

if TYPE_CHECKING:
    from frugalctl.levers.compress.settings import CompressSettings

DEFAULT_MODEL = "gpt-5.4-mini"
SWITCHES = (
    "whitespace",
    "json",
    "escapes",
    "repeats",
    "tables",
    "records",
    "html",
    "comments",
    "docstrings",
    "logs",
)
_TIERS = ("lossless", "structural", "lossy")


class CompressFormat(StrEnum):
    """What to print."""

    text = "text"
    jsonl = "jsonl"
    table = "table"
    json = "json"
    markdown = "markdown"
    csv = "csv"


class MethodChoice(StrEnum):
    """What drops content."""

    extractive = "extractive"
    llmlingua = "llmlingua"
    longllmlingua = "longllmlingua"
    llmlingua2 = "llmlingua2"


class EmbedderChoice(StrEnum):
    """What is fused with the words."""

    none = "none"
    static = "static"
    minilm = "minilm"


class ReorderChoice(StrEnum):
    """Where the most relevant documents go."""

    none = "none"
    first = "first"
    ends = "ends"


TargetModelOption = Annotated[
    str, typer.Option("--model", metavar="MODEL", help="Whose tokens and prices count.")
]
DayOption = Annotated[
    str | None, typer.Option("--as-of", metavar="DATE", help="Prices of this day.")
]
TiersOption = Annotated[
    str | None,
    typer.Option(
        "--tiers",
        metavar="NAMES",
        help="Of lossless, structural and lossy, those that run. Default: all.",
    ),
]
OffOption = Annotated[
    str | None,
    typer.Option("--off", metavar="STEPS", help=f"Steps to leave out: {', '.join(SWITCHES)}."),
]
OnOption = Annotated[
    str | None,
    typer.Option("--on", metavar="STEPS", help="Steps to add: docstrings (of Python) go too."),
]
ProtectOption = Annotated[
    list[str] | None,
    typer.Option("--protect", metavar="REGEX", help="What it matches stays as it is; repeatable."),
]
EmbedderOption = Annotated[
    EmbedderChoice,
    typer.Option("--embedder", help="What is fused with the words; minilm needs the extra embed."),
]
NeighboursOption = Annotated[
    int | None,
    typer.Option(
        "--neighbours",
        min=0,
        help="Turns of a dialogue on each side that lend their score. Default: by the text.",
    ),
]
AutoOption = Annotated[
    bool,
    typer.Option(
        "--auto",
        help="Keep what may matter even beyond the budget; without one, drop only what surely "
        "does not.",
    ),
]
ReorderOption = Annotated[
    ReorderChoice,
    typer.Option("--reorder", help="The most relevant documents first, or at both ends."),
]
MethodOption = Annotated[
    MethodChoice, typer.Option("--method", help="Whole sentences of ours, or words by LLMLingua.")
]
LlmOption = Annotated[
    str | None, typer.Option("--llm", metavar="PATH", help="The folder of LLMLingua's model.")
]
DeviceOption = Annotated[str, typer.Option("--device", help="Where that model runs.")]
CoarseOption = Annotated[
    bool, typer.Option("--coarse", help="LLMLingua v1: whole documents and sentences only.")
]
CompressSeedOption = Annotated[int, typer.Option("--seed", min=0, help="Of LLMLingua's model.")]


def make_settings(
    *,
    tiers: str | None,
    lossless: bool = False,
    off: str | None,
    on: str | None,
    method: MethodChoice,
    protect: list[str] | None,
    embedder: EmbedderChoice,
    reorder: ReorderChoice,
    **others: Any,
) -> CompressSettings:
    """The settings that the options ask for.

    Raises:
        UsageError: an unknown tier or step, or options that contradict each other.
        InputError: there is no such model for LLMLingua.
    """
    from frugalctl.levers.compress.settings import CompressSettings, check_purpose

    if lossless and tiers is not None:
        raise UsageError("--lossless and --tiers both say which tiers run: give one")
    chosen = ("lossless",) if lossless else _read_tiers(tiers)
    switches = {name: False for name in _read_steps("--off", off)}
    for name in _read_steps("--on", on):
        if name in switches:
            raise UsageError(f"{name} is both in --on and in --off")
        switches[name] = True
    settings = CompressSettings(
        tiers=chosen,
        method=method.value,
        protect=tuple(protect or ()),
        embedder=embedder.value,
        reorder=reorder.value,
        **switches,
        **others,
    )
    check_purpose(settings)
    _check_budget(settings)
    return settings


def _check_budget(settings: CompressSettings) -> None:
    asked = settings.rate is not None or settings.target_tokens is not None
    if settings.method != "extractive":
        from frugalctl.levers.compress.llmlingua_load import find_model

        find_model(settings.llm or "")
    if settings.auto and "lossy" not in settings.tiers and not asked:
        raise UsageError("--auto has nothing to do without the lossy tier")


def _read_tiers(text: str | None) -> Any:
    if text is None:
        return _TIERS
    asked = _split(text)
    unknown = [name for name in asked if name not in _TIERS]
    if unknown or not asked:
        raise UsageError(
            f"--tiers: unknown tier {', '.join(map(repr, unknown)) or repr(text)}",
            hint=f"known: {', '.join(_TIERS)}",
        )
    return tuple(tier for tier in _TIERS if tier in asked)


def _read_steps(option: str, text: str | None) -> list[str]:
    steps = _split(text or "")
    for step in steps:
        if step not in SWITCHES:
            import difflib

            near = difflib.get_close_matches(step, SWITCHES, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(SWITCHES)}"
            raise UsageError(f"{option}: unknown step {step!r}", hint=hint)
    return steps


def _split(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
