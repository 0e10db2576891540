"""The command `frugalctl`: sub-commands, and how every error ends."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand

import frugalctl
from frugalctl.cli.commands import SUMMARIES, Commands, Group
from frugalctl.cli.config import load_defaults, name_source
from frugalctl.cli.console import complain, show_traceback, verbosity
from frugalctl.errors import (
    EXIT_BROKEN_PIPE,
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    FrugalError,
)

_NAME = "frugalctl"
_VARIABLES = "FRUGALCTL"
_COMPLETION = "_FRUGALCTL_COMPLETE"  # what typer's script of the shell sets
_GLOBAL_FLAGS = frozenset({"-q", "--quiet", "-v", "--verbose", "--debug"})
_HELP = """Make LLM applications cheaper, and prove what it costs in quality.

A request log goes in; policies are replayed on it; reports and gates say what they would have cost.
Nothing is called. An option has its default in the variable FRUGALCTL_COMMAND_OPTION, then in
frugalctl.toml or [tool.frugalctl] of pyproject.toml: a table is a command, a key an option.

\b
Examples:
  frugalctl replay requests.jsonl
  frugalctl replay requests.jsonl --recipe recipe.toml -o run.parquet
  frugalctl prefix advise requests.jsonl
  frugalctl check requests.jsonl --fail-if 'cost_usd > 5'
"""


class _Root(Group):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands: Any = Commands(_VARIABLES)

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The commands, none of which is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))

    def shell_complete(self, ctx: typer.Context, incomplete: str) -> list[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The commands, none of which is imported for it, and the options."""
        self.commands = {
            name: TyperCommand(name, short_help=told) for name, told in SUMMARIES.items()
        }
        return super().shell_complete(ctx, incomplete)


app = typer.Typer(
    name="frugalctl",
    cls=_Root,
    help=_HELP,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"frugalctl {frugalctl.__version__}")
        raise typer.Exit


def _flag(name: str, *more: str, help: str) -> Any:
    """A flag that a variable sets too, as no option does that prints and exits."""
    variable = f"{_VARIABLES}_{name.removeprefix('--').upper()}"
    return typer.Option(name, *more, help=help, envvar=variable, show_envvar=False)


@app.callback()
def configure(
    context: typer.Context,
    quiet: Annotated[bool, _flag("--quiet", "-q", help="Only errors on stderr.")] = False,
    verbose: Annotated[bool, _flag("--verbose", "-v", help="Say more on stderr.")] = False,
    debug: Annotated[bool, _flag("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Make LLM applications cheaper, and prove what it costs in quality."""
    verbosity.level = 1 if verbose else -1 if quiet else 0
    verbosity.debug = debug
    context.default_map = load_defaults(context.command)


def main() -> None:
    """Run the command line and exit with the documented code."""
    _replace_closed_streams()
    gc.set_threshold(200_000)  # a short life full of arrays: fewer looks for cycles, 5 % faster
    verbosity.debug = "--debug" in sys.argv
    _leave(run_command(_hoist_global_flags(sys.argv[1:])))


def _leave(code: int) -> NoReturn:
    """Exit without taking the interpreter apart, which would take a twentieth of a second."""
    try:
        sys.stdout.flush()
    except OSError:
        code = code or EXIT_BROKEN_PIPE
    os._exit(code)


def _replace_closed_streams() -> None:
    """Python has None for a standard stream that the shell closed (`>&-`)."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))


def _hoist_global_flags(arguments: list[str]) -> list[str]:
    """Let -q, -v and --debug stand behind the sub-command too."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    ours = [word for word in arguments[:end] if word in _GLOBAL_FLAGS]
    return [*ours, *(word for word in arguments[:end] if word not in ours), *arguments[end:]]


def run_command(arguments: list[str]) -> int:
    """Run one command line and give its exit code."""
    if os.environ.get(_COMPLETION):
        return _complete(arguments)
    try:
        result = app(arguments, prog_name=_NAME, standalone_mode=False)
    except FrugalError as error:
        show_traceback()
        complain(str(error), error.hint)
        return error.exit_code
    except typer.TyperException as error:
        complain(_describe(error))
        return getattr(error, "exit_code", 2)
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return EXIT_BROKEN_PIPE
    except SystemExit as end:
        # typer ends a broken pipe of its own output (help) in 1, which only a gate may return
        return EXIT_BROKEN_PIPE if end.code == 1 else int(end.code or 0)
    except OSError as error:
        show_traceback()
        where = f"{error.filename}: " if error.filename else ""
        complain(f"{where}{error.strerror or error}")
        return EXIT_USAGE
    except MemoryError:
        complain("out of memory")
        return EXIT_INTERNAL
    except Exception as error:  # noqa: BLE001 - the last resort: no traceback for users
        show_traceback()
        complain(
            f"internal error: {type(error).__name__}: {error}",
            "this is a defect of frugalctl; --debug shows where",
        )
        return EXIT_INTERNAL
    return result if isinstance(result, int) else 0


def _complete(arguments: list[str]) -> int:
    """Answer a shell, which shows whatever it hears: what it asks in no known way fails in 1."""
    try:
        app(arguments, prog_name=_NAME, standalone_mode=False)
    except SystemExit as end:
        return int(end.code or 0)
    except Exception:  # noqa: BLE001
        return 1
    return 0


def _describe(error: typer.TyperException) -> str:
    describe = getattr(error, "format_message", None)
    message = str(describe() if describe else error).replace("\n", " ")
    context: Any = getattr(error, "ctx", None)
    parameter: Any = getattr(error, "param", None)
    where = name_source(context, parameter.name) if context and parameter else ""
    return f"{where}: {message}" if where else message
