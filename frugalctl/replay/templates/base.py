"""The templates as they were: from another folder, or from a revision of a git repository."""

from __future__ import annotations

import os
import posixpath
import subprocess
from dataclasses import replace
from pathlib import Path

from frugalctl.errors import InputError, UsageError
from frugalctl.replay.templates.files import decode_template, read_template
from frugalctl.replay.templates.parse import Template
from frugalctl.replay.templates.spec import PromptSpec

_TIMEOUT_S = 60
_MOST_LINKS = 8


def take_old_templates(
    specs: list[PromptSpec], paths: list[str], base: str
) -> tuple[list[PromptSpec], list[str]]:
    """The prompts, with the old template of each one that does not declare it itself.

    Args:
        specs: the prompts.
        paths: the folders and files that they are from.
        base: a folder with files of the same names, or a revision.

    Returns:
        The prompts, and the files that the base does not have.

    Raises:
        InputError: no such folder or revision, or it has none of the files.
        UsageError: git is not there; no base.
    """
    if not base:
        raise UsageError("--base is empty", hint="a folder with the old templates, or a revision")
    folder = Path(base) if Path(base).is_dir() else None
    if folder is None and specs:
        _require_revision(Path(specs[0].file).parent, base)
    found: list[PromptSpec] = []
    missing: list[str] = []
    for spec in specs:
        if spec.old is not None:
            found.append(spec)
            continue
        name, old = _find_in_folder(spec, paths, folder) if folder else _find_in_git(spec, base)
        if old is None:
            missing.append(spec.file)
            found.append(spec)
        else:
            found.append(replace(spec, old=old, old_file=name, old_from=f"--base {base}"))
    if missing and all(spec.old is None for spec in found):
        raise InputError(
            f"has none of the templates ({', '.join(missing[:3])})",
            where=f"--base {base}",
            hint="files are looked for by the same name; is it the right folder or revision?",
        )
    return found, missing


def _find_in_folder(
    spec: PromptSpec, paths: list[str], folder: Path
) -> tuple[str, Template | None]:
    """The file of the same place in the folder."""
    here = Path(spec.file).resolve()
    roots = [Path(path).resolve() for path in paths]
    root = next((one for one in roots if here.is_relative_to(one) and here != one), here.parent)
    path = folder / here.relative_to(root)
    return str(path), read_template(path, str(path)) if path.is_file() else None


def _find_in_git(spec: PromptSpec, revision: str) -> tuple[str, Template | None]:
    path = Path(spec.file)
    name = f"{revision}:{spec.file}"
    data = _read_from_git(path.parent, revision, f"./{path.name}", _MOST_LINKS)
    return name, None if data is None else decode_template(data, name)


def _read_from_git(folder: Path, revision: str, name: str, links: int) -> bytes | None:
    """A file of a revision, links followed; None if there is none."""
    listed = _run_git(folder, "ls-tree", revision, "--", name)
    if listed.returncode or not listed.stdout.strip():
        return None
    shown = _run_git(folder, "show", f"{revision}:{name}")
    if shown.returncode:
        raise InputError(_say(shown.stderr), where=f"{revision}:{folder / name}")
    if not listed.stdout.startswith(b"120000 "):
        return shown.stdout
    target = posixpath.join(posixpath.dirname(name), os.fsdecode(shown.stdout))
    if not links or target.startswith("/"):
        return None
    return _read_from_git(folder, revision, f"./{posixpath.normpath(target)}", links - 1)


def _require_revision(folder: Path, revision: str) -> None:
    hint = "--base takes a folder with the old templates, or a revision such as origin/main"
    if revision.startswith("-"):
        raise UsageError(f"--base {revision!r} is neither a folder nor a revision", hint=hint)
    inside = _run_git(folder, "rev-parse", "--is-inside-work-tree")
    if inside.returncode:
        raise InputError(
            "is no folder, and the prompts are in no git repository",
            where=f"--base {revision}",
            hint=hint,
        )
    known = _run_git(folder, "rev-parse", "--quiet", "--verify", f"{revision}^{{commit}}")
    if known.returncode:
        raise InputError(
            "is neither a folder nor a revision of this repository",
            where=f"--base {revision}",
            hint="in CI, fetch it first: a shallow clone has only its own commit",
        )


def _run_git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
    except FileNotFoundError:
        raise UsageError("git is not installed, which --base REVISION needs") from None
    except subprocess.TimeoutExpired:
        raise UsageError(f"git {arguments[0]} did not end within {_TIMEOUT_S} s") from None


def _say(stderr: bytes) -> str:
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return f"git: {lines[0]}" if lines else "git failed"
