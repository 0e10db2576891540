"""Where the results of `frugalctl compress` go: each file whole, or none of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frugalctl.cli.console import print_text
from frugalctl.errors import OutputError, UsageError
from frugalctl.files import check_writable

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
    files = [Path(file) for file in named if file is not None]
    sources = [Path(one.path) for one in inputs if Path(one.path).exists()]
    for at, file in enumerate(files):
        if file.exists() and any(file.samefile(source) for source in sources):
            raise UsageError(f"{file} is both a prompt and an output")
        if file.resolve() in (other.resolve() for other in files[:at]):
            raise UsageError(f"{file} would be written twice")
        if file.parent.is_dir() or str(file) in (output, manifest, *others):
            check_writable(str(file))
    return targets


def _spread(
    inputs: Sequence[Input], target: str | None, option: str, ending: str
) -> tuple[str | None, ...]:
    """The file of each input: the target itself for one, files in a folder for several."""
    if target is None:
        return (None,) * len(inputs)
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


def write_results(targets: Targets, texts: Sequence[str], manifests: Sequence[str | None]) -> None:
    """Write the results and the manifests that have a file."""
    for file, text in (
        *zip(targets.prompts, texts, strict=True),
        *zip(targets.manifests, manifests, strict=True),
    ):
        if file is not None and text is not None:
            Path(file).parent.mkdir(exist_ok=True)
            print_text(text, file)


def dump_line(value: Any) -> str:
    """A value as a line of JSON."""
    return dump_json(value) + "\n"


def dump_json(value: Any, indent: int | None = None) -> str:
    """A value as JSON in UTF-8, or with escapes where it has what UTF-8 has not."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent)
    return text


def encode_result(name: str, short: CompressedPrompt) -> dict[str, Any]:
    """The line of a batch that a prompt has become."""
    return {
        "id": name,
        "compressed": short.value,
        "tokens": {"before": short.tokens_before, "after": short.tokens_after},
        "rate": None if short.rate is None else round(short.rate, 6),
        "warnings": list(short.warnings),
    }
