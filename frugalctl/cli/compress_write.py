"""Where the results of `frugalctl compress` go: each file whole, or none of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frugalctl.cli.console import print_all
from frugalctl.errors import OutputError, UsageError
from frugalctl.files import check_writable, is_special, resolve_target

if TYPE_CHECKING:
    from frugalctl.cli.compress_read import Input
    from frugalctl.levers.compress.pipeline import CompressedPrompt


@dataclass(frozen=True, slots=True)
class Targets:
    """Where things go; None where they do not.

    Attributes:
        prompts: of each input, the file that its result goes to.
        manifests: of each input, the file that its manifest goes to.
        others: further files that are written.
    """

    prompts: tuple[str | None, ...]
    manifests: tuple[str | None, ...]
    others: tuple[str, ...] = ()


def plan_targets(
    inputs: Sequence[Input], output: str | None, manifest: str | None, others: Sequence[str]
) -> Targets:
    """Choose the files, and be sure before the work starts that they can be written.

    Raises:
        UsageError: a file is an input too, or is to be written twice.
        OutputError: a file cannot be written.
    """
    targets = Targets(
        _spread(inputs, None if output == "-" else output, "-o", ""),
        _spread(inputs, manifest, "--manifest", ".manifest.json"),
        tuple(others),
    )
    named = [*targets.prompts, *targets.manifests, *targets.others]
    files = [file for file in named if file is not None]
    sources = [Path(one.path) for one in inputs if Path(one.path).exists()]
    refuse_twice(files)
    for file in files:
        if Path(file).exists() and any(Path(file).samefile(source) for source in sources):
            raise UsageError(f"{file} is both a prompt and an output")
        if Path(file).parent.is_dir() or file in (output, manifest, *others):
            check_writable(file)
    return targets


def refuse_twice(files: Iterable[str]) -> None:
    """Fail where two outputs are one file, whatever they are called.

    Raises:
        UsageError: they are.
        OutputError: links lead in a circle.
    """
    seen: set[Path] = set()
    for file in files:
        path = resolve_target(file)
        if path in seen and not is_special(path):
            raise UsageError(f"{file} would be written twice")
        seen.add(path)


def _spread(
    inputs: Sequence[Input], target: str | None, option: str, ending: str
) -> tuple[str | None, ...]:
    """The file of each input: the target itself for one, files in a folder for several."""
    if target is None:
        return (None,) * len(inputs)
    if not target:
        raise UsageError(f"{option} names no file")
    folder = Path(target)
    if len(inputs) == 1 and not folder.is_dir() and not target.endswith("/"):
        return (target,)
    if folder.exists() and not folder.is_dir():
        raise UsageError(
            f"{target} is a file, and {option} of several prompts is a folder",
            hint=f"give {option} a folder",
        )
    if not folder.exists() and not folder.parent.is_dir():
        raise OutputError("its folder does not exist", where=target)
    return tuple(str(folder / f"{one.file_name}{ending}") for one in inputs)


def write_results(texts: Sequence[tuple[str, str | None]]) -> None:
    """Write all of these, or none: a text and its file, which is None for stdout.

    A folder is made where it is missing, and taken away again where that fails.
    """
    folders = {Path(file).parent for _, file in texts if file is not None}
    made = [folder for folder in folders if not folder.exists()]
    for folder in made:
        folder.mkdir()
    try:
        print_all(texts)
    except BaseException:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
        raise


def dump_line(value: Any) -> str:
    """A value as a line of JSON."""
    return dump_json(value) + "\n"


def dump_json(value: Any, indent: int | None = None) -> str:
    """A value as JSON in UTF-8, or with escapes where it has what UTF-8 has not."""
    from frugalctl.levers.compress.json_text import encode_json

    return encode_json(value, indent=indent)


def encode_result(name: str | int, short: CompressedPrompt) -> dict[str, Any]:
    """The line of a batch that a prompt has become."""
    return {
        "id": name,
        "compressed": short.value,
        "tokens": {"before": short.tokens_before, "after": short.tokens_after},
        "rate": None if short.rate is None else round(short.rate, 6),
        "warnings": list(short.warnings),
    }
