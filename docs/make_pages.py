"""Writes docs/commands.md and docs/modules.md from the program: python docs/make_pages.py."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

ROOT = Path(__file__).resolve().parents[1]
COMMANDS_HEAD = """\
# Command reference

Made from the help texts by `docs/make_pages.py`; a test compares the two. Every command has `-h`
and `--help`, and takes `-q`, `-v` and `--debug` of the program. What all commands share stands in
[in the shell](shell.md).
"""
MODULES_HEAD = """\
# Modules

Every module of `frugalctl/` with the first line of its docstring. Made by `docs/make_pages.py`; a
test compares the two. The map of the folders stands in [Contributing](../CONTRIBUTING.md#map).
"""
BRACES = str.maketrans("", "", "{}")


def write_commands() -> str:
    """The page: every command with its text, its examples, its arguments and its options."""
    from frugalctl.cli.app import app

    root = typer.main.get_command(app)
    return COMMANDS_HEAD + "".join(_describe(one, context) for one, context in list_commands(root))


def list_commands(command: Any, parent: Any = None) -> Iterator[tuple[Any, Any]]:
    """Each command with its context, a group before what is in it."""
    name = command.name if parent else "frugalctl"
    context = command.make_context(name, ["-"], parent=parent, resilient_parsing=True)
    yield getattr(command, "default_command", command), context
    for _, inner in sorted(getattr(command, "commands", {}).items()):
        yield from list_commands(inner, context)


def _describe(command: Any, context: Any) -> str:
    path = context.command_path
    text, _, examples = (command.help or "").partition("\b\nExamples:\n")
    lines = [line.strip() for line in examples.strip().split("\n")]
    parts = [f"\n{'#' * max(2, len(path.split()))} {path}\n", text.strip() + "\n"]
    usage = " ".join([path, *command.collect_usage_pieces(context)]).translate(BRACES)
    parts.append("```text\n" + usage + "\n```\n")
    if examples:
        parts.append("Examples:\n\n```text\n" + "\n".join(lines) + "\n```\n")
    records = [one.get_help_record(context) for one in command.get_params(context)]
    if items := [_item(*one) for one in records if one and "--help" not in one[0]]:
        parts.append("\n".join(items) + "\n")
    inner = getattr(context.command, "commands", {})
    if inner:
        parts.append("Commands:\n")
        parts.append("\n".join(_link(path, *one) for one in sorted(inner.items())) + "\n")
    return "\n".join(parts)


def _item(name: str, text: str) -> str:
    return f"- `{name}`: {text.strip().replace('  [', ' [')}"


def _link(path: str, name: str, command: Any) -> str:
    anchor = f"{path} {name}".replace(" ", "-")
    return f"- [{name}](#{anchor}): {command.help.split(chr(10) * 2)[0].replace(chr(10), ' ')}"


def write_modules() -> str:
    """The page: a heading a folder, a line a module."""
    folders: dict[str, list[str]] = {}
    for file in sorted((ROOT / "frugalctl").rglob("*.py")):
        told = (ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "").split("\n")[0]
        lines = folders.setdefault(file.parent.relative_to(ROOT).as_posix(), [])
        if file.name == "__init__.py":
            lines.insert(0, f"{told}\n")
        else:
            lines.append(f"- `{file.name}`: {told}")
    parts = [f"\n## {folder}\n\n" + "\n".join(lines) for folder, lines in sorted(folders.items())]
    return MODULES_HEAD + "\n".join(parts) + "\n"


PAGES = {"commands.md": write_commands, "modules.md": write_modules}

if __name__ == "__main__":
    for name, write in PAGES.items():
        (ROOT / "docs" / name).write_text(write(), "utf-8")
