"""A group of commands of which one needs no name: it gets every word that names none."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

NAMELESS = "-files"


class DefaultCommand(TyperCommand):
    """The command that is meant where no other is named; its help lists the others too."""

    def format_usage(self, ctx: typer.Context, formatter: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The usage, without a name of its own."""
        path = ctx.command_path.removesuffix(NAMELESS).rstrip()
        formatter.write_usage(path, " ".join(self.collect_usage_pieces(ctx)))

    def format_options(self, ctx: typer.Context, formatter: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The options, and the commands beside it."""
        super().format_options(ctx, formatter)
        if ctx.parent is not None and isinstance(ctx.parent.command, TyperGroup):
            ctx.parent.command.format_commands(ctx.parent, formatter)


class DefaultGroup(TyperGroup):
    """Commands, and one without a name (`default_command`) for everything else."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.default_command: Any = self.commands.pop(NAMELESS)

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take the first word for the name of a command only if it is one."""
        completes = ctx.resilient_parsing and not args
        if not completes and (not args or args[0] not in self.commands):
            args = ["--", NAMELESS, *args]
        return super().parse_args(ctx, args)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """A command by its name."""
        return self.default_command if cmd_name == NAMELESS else super().get_command(ctx, cmd_name)

    def shell_complete(self, ctx: typer.Context, incomplete: str) -> list[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The commands, or the options of the one without a name."""
        if incomplete.startswith("-"):
            return self.default_command.shell_complete(ctx, incomplete)
        return super().shell_complete(ctx, incomplete)
