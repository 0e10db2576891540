"""Files out, written beside the target and moved into place, or not at all; TOML files in."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from frugalctl.errors import ConfigError, OutputError

_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)")


@contextmanager
def replacing(target: str) -> Generator[Path]:
    """A temporary file beside the target, which takes its place if the block succeeds.

    The temporary file is made on entry, so that an unwritable target fails before the work.
    On any error, an interrupt included, it is removed and the target is left as it was. A link is
    followed; a device or a pipe is written directly.

    Raises:
        OutputError: the target is a directory, or it or its folder cannot be written.
    """
    if is_special(Path(target)):
        try:
            yield Path(target)
        except OSError as error:
            raise _refuse(target, error) from error
        return
    path = _follow(target)
    temporary = _make_temporary(path)
    try:
        yield temporary
        temporary.chmod(_mode(path))
        temporary.replace(path)
    except OSError as error:
        raise _refuse(target, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(target: str) -> None:
    """Fail now if the target cannot be written later.

    Raises:
        OutputError: the target is a directory, or its folder cannot be written.
    """
    if not is_special(Path(target)):
        _make_temporary(_follow(target)).unlink()


def resolve_target(target: str) -> Path:
    """The file that a target stands for: absolute, its links followed.

    Raises:
        OutputError: its links lead in a circle.
    """
    try:
        return Path(target).resolve()
    except (OSError, RuntimeError):
        raise OutputError("cannot be written: its links lead in a circle", where=target) from None


def _follow(target: str) -> Path:
    path = Path(target)
    return resolve_target(target) if path.is_symlink() else path


def _refuse(target: str, error: OSError) -> OutputError:
    return OutputError(f"cannot be written: {error.strerror}", where=target)


def is_special(path: Path) -> bool:
    """Whether it is a device or a pipe, which nothing may take the place of."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _make_temporary(path: Path) -> Path:
    if path.is_dir():
        raise OutputError("is a directory", where=str(path))
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise _refuse(str(path), error) from None
    os.close(handle)
    return Path(name)


def _mode(path: Path) -> int:
    """The mode of the file that is replaced, or what a new file would get."""
    if path.exists():
        return path.stat().st_mode & 0o777
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


def read_toml(path: Path, shown: str = "") -> dict[str, Any]:
    """The tables of a TOML file.

    Args:
        path: the file.
        shown: its name for messages, if not the path.

    Raises:
        ConfigError: it cannot be read, or is not TOML; with the line, where one is known.
    """
    import tomllib

    where = shown or str(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", where=where) from None
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError("not UTF-8", where=f"{where}:{line}") from None
    except tomllib.TOMLDecodeError as error:
        found = _AT_LINE.search(str(error))
        line = found[1] if found else data.rstrip().count(b"\n") + 1
        told = f"not TOML: {_AT_LINE.sub('', str(error))}"
        raise ConfigError(told, where=f"{where}:{line}") from None
    except RecursionError:
        raise ConfigError("not TOML: nested too deeply", where=where) from None
