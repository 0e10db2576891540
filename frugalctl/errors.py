"""Every error that frugalctl raises on purpose, with the exit code it ends in.

::

    FrugalError            2   anything the user can mend
    ├── UsageError         2   options that do not fit together
    ├── ConfigError        2   a recipe or a configuration file
    ├── InputError         2   a file that cannot be read as what it should be
    │   └── BadLine        2   one line of a log, with its number
    ├── OutputError        2   a target that cannot be written
    ├── PriceError         2   a price that is asked for and not known
    ├── MissingExtraError  2   an optional dependency that is not installed
    └── GateFailed         1   `frugalctl check` found a gate broken

Anything else that escapes is a defect of frugalctl and ends in 70. An interrupt ends in 130,
a closed pipe in 141.
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_GATE = 1
EXIT_USAGE = 2
EXIT_INTERNAL = 70
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


class FrugalError(Exception):
    """An error that the user can mend: one line that says what and where, and a hint.

    Args:
        message: what is wrong, in one line.
        where: the file, and the line or key in it ("log.jsonl:17").
        hint: what to do about it.
    """

    exit_code = EXIT_USAGE

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class UsageError(FrugalError):
    """Options that do not fit together, or an argument out of range."""


class ConfigError(FrugalError):
    """A recipe or configuration file that says something we do not understand."""


class InputError(FrugalError):
    """A file that is missing, broken, or not in a format that we read."""


class BadLine(InputError):
    """One line of a log that is not a valid record.

    Args:
        message: what is wrong with the line.
        source: the file's name as the user gave it.
        line: its number, from 1.
        hint: what to do about it.
    """

    def __init__(self, message: str, *, source: str, line: int, hint: str = "") -> None:
        super().__init__(message, where=f"{source}:{line}", hint=hint)
        self.source = source
        self.line = line


class OutputError(FrugalError):
    """A target that cannot be written."""


class PriceError(FrugalError):
    """A model, tier or day for which no price is known."""


class MissingExtraError(FrugalError):
    """An optional dependency is not installed.

    Args:
        package: the package that is missing.
        extra: the extra of frugalctl that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed", hint=f"pip install 'frugalctl[{extra}]'")


class GateFailed(FrugalError):
    """A gate of `frugalctl check` is broken."""

    exit_code = EXIT_GATE
