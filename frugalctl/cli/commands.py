"""The sub-commands by name, each imported when it is asked for: a command costs its own start."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperGroup

from frugalctl.cli.config import FILES, name_variables
from frugalctl.cli.options import refuse_inputs
from frugalctl.errors import EXIT_USAGE

SUMMARIES = {
    "replay": "What a log cost and, with a recipe, what it would have cost.",
    "optimize": "Which models to call in which order, and when to stop.",
    "report": "The report of a replay that was kept, also as a page of HTML.",
    "diff": "What changed between two reports: old -> new, amount, percent.",
    "check": "Gates for CI: fail if a log or a change of prompts breaks one.",
    "normalize": "The keys of texts, and what the opt-in steps leave of them.",
    "compress": "Make prompts shorter, and keep what matters in them.",
    "cache": "A semantic cache: build, query, tune and keep an index.",
    "prices": "Look prices up, price one call, compare price tables.",
    "log": "Convert, validate and count request logs.",
    "prefix": "Prompt caches: what they read, what breaks a prefix, what to do.",
}
"""In the order of the help. The module of a name has a function of that name, or a group `app`."""

_OUTPUTS = ("output", "report", "scores", "front", "plot", "todo", "diff_html")


class Group(TyperGroup):
    """Commands; without the name of one it prints its help, and that is wrong use."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Print the help where there are no words."""
        if not args and not ctx.resilient_parsing:
            typer.echo(ctx.get_help())
            raise typer.Exit(EXIT_USAGE)
        return super().parse_args(ctx, args)


class Commands(Mapping[str, Any]):
    """The commands of the program.

    Args:
        prefix: what the names of their variables begin with.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._loaded: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(SUMMARIES)

    def __iter__(self) -> Iterator[str]:
        return iter(SUMMARIES)

    def __contains__(self, name: object) -> bool:
        return name in SUMMARIES

    def __getitem__(self, name: str) -> Any:
        if name not in SUMMARIES:
            raise KeyError(name)
        if name not in self._loaded:
            self._loaded[name] = _load(name)
            name_variables(self._loaded[name], f"{self._prefix}_{name.upper()}")
            _guard_inputs(self._loaded[name])
        return self._loaded[name]


def _load(name: str) -> Any:
    module = import_module(f"frugalctl.cli.{name}")
    holder = typer.Typer(rich_markup_mode=None)
    if hasattr(module, "app"):
        own = module.app.info.cls
        holder.add_typer(module.app, name=name, cls=own if isinstance(own, type) else Group)
    else:
        holder.command(name)(getattr(module, name))
    _keep_examples(holder)
    return typer.main.get_group(holder).commands[name]


def _keep_examples(group: typer.Typer) -> None:
    """Let the examples of every command stand a line each: click would fill them into one."""
    for command in group.registered_commands:
        text = inspect.getdoc(command.callback) or ""
        told, mark, examples = text.partition("Examples:\n")
        lines = [line.strip() for line in examples.split("\n") if line.strip()]
        kept = "\n".join(f"  {line}" for line in lines)
        command.help = f"{told}\b\n{mark}{kept}" if mark else text
    for inner in group.registered_groups:
        if inner.typer_instance is not None:
            _keep_examples(inner.typer_instance)


def _guard_inputs(command: Any) -> None:
    """Make sure that no command, nor any in a group, begins to write over a file that it reads."""
    if isinstance(command, TyperGroup):
        for inner in (*command.commands.values(), getattr(command, "default_command", None)):
            _guard_inputs(inner)
    elif command is not None:
        begin = command.callback

        def run(**values: Any) -> Any:
            _refuse_inputs(values)
            return begin(**values)

        command.callback = run


def _refuse_inputs(values: dict[str, Any]) -> None:
    """Whatever names a file and is no output counts as an input, and the configuration too."""
    outputs = [values[name] for name in _OUTPUTS if isinstance(values.get(name), str)]
    others = [value for name, value in values.items() if name not in _OUTPUTS]
    inputs = list(FILES)
    for value in others:
        listed = cast(list[Any], value) if isinstance(value, list | tuple) else [value]
        inputs += [one for one in listed if isinstance(one, str)]
    for output in outputs:
        refuse_inputs(output, inputs)
