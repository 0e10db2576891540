"""Defaults of options from `frugalctl.toml`, or `[tool.frugalctl]` of `pyproject.toml`.

A table is a command (`[replay]`, `[prices.cost]`), its keys are long option names. Flags and
`FRUGALCTL_*` variables come before it. The table `[gates]` is no command: it holds the gates of
`frugalctl check` by name.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from frugalctl.errors import ConfigError
from frugalctl.files import read_toml

FILES = ("frugalctl.toml", "pyproject.toml")
"""Those that are read, in the current folder; of the two, the first that says something counts."""

_GATES = "gates"
_UNNAMED = "fail_if"


@dataclass(frozen=True, slots=True)
class ConfiguredGate:
    """A gate of a configuration file.

    Attributes:
        name: its key; None for those of the list `fail_if`.
        text: the expression.
        where: the file and the key.
    """

    name: str | None
    text: str
    where: str


def load_defaults(app: Any) -> dict[str, Any]:
    """Options by command, as typer's `default_map`; of the two files, the first that has any.

    Args:
        app: the root command, which knows all commands and their options.

    Raises:
        ConfigError: a file that cannot be read, an unknown command or option, or a value that is
            no value of an option.
    """
    name = find_file()
    return _to_parameters(_read_options(name), app, name, "") if name else {}


def find_file() -> str | None:
    """The file that has the options.

    Raises:
        ConfigError: a file that cannot be read.
    """
    return next((name for name in FILES if _read_options(name)), None)


def _read_options(name: str) -> dict[str, Any]:
    return {key: value for key, value in _read_table(name).items() if key != _GATES}


def name_source(context: Any, name: str) -> str:
    """Where a value comes from, for messages: a variable, or a file and its key; else nothing.

    Args:
        context: of the command.
        name: the parameter.
    """
    source = getattr(context.get_parameter_source(name), "name", "")
    if source not in ("ENVIRONMENT", "DEFAULT_MAP"):
        return ""
    option = next(one for one in context.command.params if one.name == name)
    if source == "ENVIRONMENT":
        return f"the variable {option.envvar}"
    words = [word for word in context.command_path.split()[1:] if not word.startswith("-")]
    return f"{find_file()}: {'.'.join(words)}.{max(option.opts, key=len).removeprefix('--')}"


def load_gates() -> list[ConfiguredGate]:
    """The gates of `[gates]` or `[tool.frugalctl.gates]`; of the two files, the first that has any.

    Raises:
        ConfigError: a file that cannot be read, or something else than expressions by name.
    """
    for name in FILES:
        table = _read_table(name).get(_GATES, {})
        if not isinstance(table, dict):
            raise ConfigError("gates is not a table", where=name, hint="write [gates]")
        if table:
            return [
                gate
                for key, value in cast(dict[str, Any], table).items()
                for gate in _read_gate(key, value, name)
            ]
    return []


def _read_gate(key: str, value: Any, file: str) -> list[ConfiguredGate]:
    where = f"{file}: {_GATES}.{key}"
    if key.replace("-", "_") == _UNNAMED and isinstance(value, list):
        values = cast(list[Any], value)
        if all(isinstance(text, str) for text in values):
            return [ConfiguredGate(None, text, where) for text in values]
    elif isinstance(value, str):
        return [ConfiguredGate(key, value, where)]
    raise ConfigError(
        f"gates.{key} is no expression",
        where=file,
        hint='write budget = "cost_usd > 5", or fail_if = [...] without names',
    )


def name_variables(command: Any, prefix: str) -> None:
    """Name the variable of each option after its long name: `FRUGALCTL_REPLAY_AS_OF`.

    One that may be given many times takes a value a line.
    """
    for option, parameter in _options(_default(command) or command).items():
        parameter.envvar = f"{prefix}_{option.upper().replace('-', '_')}"
        parameter.show_envvar = False  # one rule for all, said in the main help
        parameter.split_envvar_value = _split_lines
    for name, inner in _commands(command).items():
        name_variables(inner, f"{prefix}_{name.upper()}")


def _split_lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def _commands(command: Any) -> dict[str, Any]:
    return getattr(command, "commands", {})


def _default(command: Any) -> Any:
    """The command of a group that needs no name, if it has one."""
    return getattr(command, "default_command", None)


def _options(command: Any) -> dict[str, Any]:
    """The options of a command by their long name."""
    return {
        word.removeprefix("--"): parameter
        for parameter in command.params
        for word in parameter.opts
        if word.startswith("--") and word != "--help"
    }


def _read_table(name: str) -> dict[str, Any]:
    """Our part of a file: all of frugalctl.toml, in which `[tool.frugalctl]` may stand too."""
    table = _read_toml(Path(name))
    inner = _step_into(table, name)
    if name != FILES[0]:
        return inner
    others = {key: value for key, value in table.items() if key != "tool"}
    twice = sorted(inner.keys() & others.keys())
    if twice:
        raise ConfigError(f"both [{twice[0]}] and [tool.frugalctl.{twice[0]}]", where=name)
    return others | inner


def _read_toml(file: Path) -> dict[str, Any]:
    return read_toml(file) if file.is_file() else {}


def _step_into(table: dict[str, Any], name: str) -> dict[str, Any]:
    """The table `[tool.frugalctl]`."""
    for key in ("tool", "frugalctl"):
        inner: Any = table.get(key, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{key} is not a table", where=name)
        table = cast(dict[str, Any], inner)
    return table


def _to_parameters(table: dict[str, Any], command: Any, where: str, path: str) -> dict[str, Any]:
    commands = _commands(command)
    default = _default(command)
    options = _options(default or command) if default or not commands else {}
    found: dict[str, Any] = {}
    for key, value in table.items():
        name, full = key.replace("_", "-"), path + key
        if name in commands:
            if not isinstance(value, dict):
                raise ConfigError(f"{full} is a command", where=where, hint=f"write [{full}]")
            inner = cast(dict[str, Any], value)
            found[name] = _to_parameters(inner, commands[name], where, f"{full}.")
        elif name in options:
            _check_shape(value, options[name], where, full)
            holder = found.setdefault(default.name, {}) if default else found
            holder[options[name].name] = value
        else:
            known = (*commands, *options, *(() if path else (_GATES,)))
            raise ConfigError(f"unknown key {full!r}", where=where, hint=_hint(name, known))
    return found


def _check_shape(value: Any, option: Any, where: str, name: str) -> None:
    if isinstance(value, dict):
        raise ConfigError(f"{name} is an option, not a table", where=where)
    if isinstance(value, list) != bool(option.multiple):
        wanted = "a list" if option.multiple else "one value"
        raise ConfigError(f"{name} takes {wanted}", where=where)


def _hint(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
