"""Files out: written beside the target and moved into place, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from frugalctl.errors import OutputError


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
