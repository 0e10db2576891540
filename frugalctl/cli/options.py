"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path, PurePath
from typing import Annotated, Any, TypeVar

import typer

from frugalctl.errors import UsageError
from frugalctl.files import check_writable, resolve_target


class Format(StrEnum):
    """How to print a result."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    markdown = "markdown"


class ReportFormat(StrEnum):
    """How to print a report: the common ways, and a page for the browser."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    markdown = "markdown"
    html = "html"


class CheckFormat(StrEnum):
    """How to print verdicts: the common ways, and what CI servers read."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    markdown = "markdown"
    github = "github"
    junit = "junit"


AnyFormat = TypeVar("AnyFormat", bound=StrEnum)


class OnErrorChoice(StrEnum):
    """What to do with a bad line of a log."""

    fail = "fail"
    skip = "skip"


class PriceChoice(StrEnum):
    """Where prices come from."""

    book = "book"
    log = "log"


_FORMAT_OF = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".csv": "csv",
    ".md": "markdown",
    ".markdown": "markdown",
    ".txt": "table",
    ".html": "html",
    ".xml": "junit",
}


def _give_way(context: typer.Context, parameter: typer.CallbackParam, value: Any) -> Any:
    """Drop a format from the environment or a file where the command line says another."""

    def is_flag(name: str | None) -> bool:
        source = context.get_parameter_source(name or "")
        return source is not None and source.name == "COMMANDLINE"

    by_extension = _read_extension(context.params.get("output")) is not None
    said = (is_flag("chosen_format"), is_flag("as_json"), by_extension)
    if is_flag(parameter.name) or not any(said):
        return value
    return False if parameter.name == "as_json" else None


def _read_extension(output: str | None) -> str | None:
    """The name of the format that a file's extension asks for."""
    return _FORMAT_OF.get(PurePath(output or "").suffix.lower())


_FORMAT = typer.Option(
    "--format",
    "-f",
    callback=_give_way,
    help="How to print; follows the extension of -o by default.",
)
FormatOption = Annotated[Format | None, _FORMAT]
ReportFormatOption = Annotated[ReportFormat | None, _FORMAT]
CheckFormatOption = Annotated[CheckFormat | None, _FORMAT]
JsonOption = Annotated[
    bool, typer.Option("--json", callback=_give_way, help="Short for --format json.")
]
OutputOption = Annotated[
    str | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a file.")
]
LogArgument = Annotated[
    list[str],
    typer.Argument(metavar="LOG", help="Request logs (JSONL or parquet; .gz, .zst); - is stdin."),
]
OnErrorOption = Annotated[
    OnErrorChoice, typer.Option("--on-error", help="Stop at a bad line, or count and list it.")
]
RecipeOption = Annotated[
    str | None,
    typer.Option("--recipe", "-r", metavar="FILE", help="A recipe (TOML): which levers to apply."),
]
PromptCacheOption = Annotated[
    str | None,
    typer.Option(
        "--prompt-cache",
        metavar="SPEC",
        help="Simulate a provider's prompt cache: openai, anthropic:1h, gemini-explicit:1h, "
        "deepseek, vllm:capacity=50M, blocks:unit=512,ttl=300... (`prices cache` lists them).",
    ),
]
BaselineModelOption = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        metavar="MODEL",
        help="Compare with this model's outcomes. Default: what the log observed, else the single "
        "model of highest quality.",
    ),
]
PricesOption = Annotated[
    PriceChoice,
    typer.Option("--prices", help="The dated price book, or the log's own cost_usd where it is."),
]
AsOfOption = Annotated[
    str | None,
    typer.Option(
        "--as-of", metavar="DATE", help="Prices of this day, not of each request's own time."
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", metavar="MODEL", help="For requests that name no model."),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Of the bootstrap intervals.")]
ShowTextOption = Annotated[
    bool,
    typer.Option("--show-text", help="Show in the HTML page what the dearest requests asked."),
]


def choose_format(chosen: Format | None, as_json: bool, output: str | None) -> Format:
    """The format asked for: by --json, by --format, by the file's extension, else a table.

    Raises:
        UsageError: --json beside another --format.
    """
    return _choose(Format, chosen, as_json, output)


def _choose(
    formats: type[AnyFormat], chosen: AnyFormat | None, as_json: bool, output: str | None
) -> AnyFormat:
    if as_json:
        if chosen not in (None, "json"):
            raise UsageError(f"--json and --format {chosen} contradict each other")
        return formats("json")
    if chosen is not None:
        return chosen
    name = _read_extension(output)
    return formats(name if name in list(formats) else "table")


def prepare_output(
    chosen: Format | None, as_json: bool, output: str | None, inputs: Sequence[str] = ()
) -> Format:
    """`prepare_output_of` for the formats that every command offers."""
    return prepare_output_of(Format, chosen, as_json, output, inputs)


def prepare_output_of(
    formats: type[AnyFormat],
    chosen: AnyFormat | None,
    as_json: bool,
    output: str | None,
    inputs: Sequence[str] = (),
    folders: Sequence[str] = (),
) -> AnyFormat:
    """The format, once it is sure, before the work starts, that the output can be written.

    Args:
        formats: those that the command offers.
        chosen: --format.
        as_json: --json.
        output: --output.
        inputs: files that it must not replace, beside those that the command line names.
        folders: folders of templates, which it must not be one of.

    Raises:
        UsageError: --json beside another --format, or an output that is an input too.
        OutputError: the output cannot be written.
    """
    found = _choose(formats, chosen, as_json, output)
    if output is not None and output != "-":
        refuse_inputs(output, inputs, folders)
        check_writable(output)
    return found


def refuse_inputs(output: str, inputs: Iterable[str], folders: Iterable[str] = ()) -> None:
    """Refuse to write over what is read.

    Args:
        output: a file.
        inputs: files; texts that name none are passed over.
        folders: of templates, where a new one would be read next time; likewise.

    Raises:
        UsageError: the output is one of the files, or one that is read in one of the folders.
    """
    message = f"{output} is both an input and the output"
    if any(_is_same(one, output) for one in inputs):
        raise UsageError(message)
    roots = [Path(folder) for folder in folders if Path(folder).is_dir()]
    if not roots:
        return
    from frugalctl.replay.templates.files import is_read

    place = resolve_target(output)
    for root in roots:
        if place.is_relative_to(root.resolve()) and is_read(place):
            raise UsageError(message, hint=f"{root} is read whole; name another place or ending")


def _is_same(one: str, output: str) -> bool:
    try:
        return Path(one).is_file() and Path(one).samefile(output)
    except (OSError, ValueError):  # such as a text too long for a name
        return False
