"""Prompts from a folder of templates, with what `prompts.toml` says of them."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, cast

from frugalctl.errors import ConfigError, InputError
from frugalctl.files import read_toml
from frugalctl.replay.templates.parse import Template, find_path, parse_template
from frugalctl.replay.templates.spec import FILTERS, RATES, ROLES, PromptSpec

DECLARATIONS = "prompts.toml"
SUFFIXES = (".md", ".txt", ".jinja", ".jinja2", ".j2", ".prompt")

_KEYS = ("file", "version", "role", *FILTERS, "was", "values", "varies")
_MOST_BYTES = 16 << 20
_VERSION_CHARS = 40


def load_prompts(paths: Sequence[str]) -> list[PromptSpec]:
    """The prompts in folders and files, in the order of their names.

    Every template in a folder is a prompt, named by its path without the ending, unless its
    `prompts.toml` declares it, or names it as what another replaces.

    Raises:
        InputError: a path or a template that is missing or cannot be read; a folder without any.
        ConfigError: a declaration that we do not understand; two prompts of one name.
    """
    found: dict[str, PromptSpec] = {}
    for path in paths:
        for spec in _load_path(path):
            if spec.name in found:
                raise ConfigError(
                    f"two prompts are called {spec.name!r}: {found[spec.name].file} and this",
                    where=spec.file,
                    hint=f"give one another name: [{spec.name}-2] in {DECLARATIONS}",
                )
            found[spec.name] = spec
    return [found[name] for name in sorted(found)]


def is_read(path: Path) -> bool:
    """Whether a file in a folder of prompts is one of them, or declares them."""
    return path.suffix.lower() in SUFFIXES or path.name == DECLARATIONS


def read_template(path: Path, shown: str) -> Template:
    """A template from a file.

    Raises:
        InputError: it is missing, too large, binary or not UTF-8.
        ConfigError: see `parse_template`.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError("is larger than 16 MB, and no template", where=shown)
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=shown) from None
    return decode_template(data, shown)


def decode_template(data: bytes, shown: str) -> Template:
    """A template from bytes.

    Raises:
        InputError: binary, not UTF-8, or nothing but white space.
        ConfigError: see `parse_template`.
    """
    if b"\0" in data:
        raise InputError("is binary, and no template", where=shown)
    try:
        source = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError("not UTF-8", where=f"{shown}:{line}") from None
    if not source.strip():
        raise InputError("the template is empty", where=shown)
    return parse_template(source, shown)


def _load_path(path: str) -> list[PromptSpec]:
    if Path(path).is_dir():
        return _load_folder(path)
    if not Path(path).exists():
        raise InputError("no such file or folder", where=path)
    return [PromptSpec(Path(path).stem, path, read_template(Path(path), path), where=path)]


def _load_folder(path: str) -> list[PromptSpec]:
    folder = Path(path)
    declared, named = _load_declared(folder)
    templates = sorted(
        one
        for one in _list_files(path)
        if one.suffix.lower() in SUFFIXES and _is_file(one) and not _is_hidden(one, folder)
    )
    if not declared and not templates:
        raise InputError(
            "no template in this folder", where=path, hint=f"one of *{', *'.join(SUFFIXES)}"
        )
    specs = list(declared)
    for one in templates:
        if os.path.realpath(one) not in named:
            name = one.relative_to(folder).with_suffix("").as_posix()
            specs.append(PromptSpec(name, str(one), read_template(one, str(one)), where=str(one)))
    return specs


def _list_files(folder: str) -> Iterator[Path]:
    def refuse(error: OSError) -> NoReturn:
        raise InputError(f"cannot be read: {error.strerror}", where=str(error.filename)) from None

    for root, _, names in os.walk(folder, onerror=refuse):
        yield from (Path(root, name) for name in names)


def _is_file(path: Path) -> bool:
    """Also a link that leads nowhere, which is an error when it is read."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _load_declared(folder: Path) -> tuple[list[PromptSpec], set[str]]:
    """The declared prompts, and all files that they name."""
    path = folder / DECLARATIONS
    if not path.exists():
        return [], set()
    data = read_toml(path)
    reader = _Declarations(folder, str(path), path.read_text("utf-8-sig"))
    return [reader.read(name, table) for name, table in data.items()], reader.named


class _Declarations:
    """Reads one `prompts.toml`; remembers the files that it names."""

    def __init__(self, folder: Path, shown: str, source: str) -> None:
        self.named: set[str] = set()
        self._folder = folder
        self._shown = shown
        self._lines = source.splitlines()

    def read(self, name: str, table: Any) -> PromptSpec:
        if not isinstance(table, dict):
            raise self._fault(name, name, f"{name} is not a table", f"write [{name}]")
        fields = cast("dict[str, Any]", table)
        self._refuse_unknown(name, fields, _KEYS, "")
        file, template = self._read_file(name, fields.get("file", self._guess_file(name)), "file")
        spec = PromptSpec(
            name=name,
            file=file,
            template=template,
            version=self._read_version(name, fields, ""),
            role=self._read_choice(name, "role", fields.get("role", "system"), ROLES),
            filters=self._read_filters(name, fields),
            values=self._read_values(name, template, fields.get("values", {})),
            varies=self._read_rates(name, template, fields.get("varies", {})),
            where=f"{self._shown}:{self._find_line(name, '')}",
        )
        return self._add_old(spec, fields["was"]) if "was" in fields else spec

    def _add_old(self, spec: PromptSpec, was: Any) -> PromptSpec:
        if not isinstance(was, dict):
            hint = 'write was = { version = "1", file = "support@1.md" }'
            raise self._fault(spec.name, "was", "was is not a table", hint)
        fields = cast("dict[str, Any]", was)
        self._refuse_unknown(spec.name, fields, ("version", "file"), "was.")
        version = self._read_version(spec.name, fields, "was.")
        if version and version == spec.version:
            raise self._fault(spec.name, "was", f"version {version!r} would replace itself")
        if "file" not in fields:
            return replace(spec, old_version=version)
        file, template = self._read_file(spec.name, fields["file"], "was.file")
        return replace(spec, old=template, old_file=file, old_version=version, old_from="declared")

    def _read_file(self, name: str, value: Any, key: str) -> tuple[str, Template]:
        if value is None:
            raise self._fault(name, key, f"{key} is missing", f'write {key} = "{name}.md"')
        if not isinstance(value, str) or not value:
            raise self._fault(name, key, f"{key} is not the name of a file")
        path = self._folder / value
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "no such file"
            raise self._fault(name, key, f"{key}: {what}: {value}")
        self.named.add(os.path.realpath(path))
        shown = os.path.normpath(path)
        return shown, read_template(path, shown)

    def _guess_file(self, name: str) -> str | None:
        """The one template of that name, without its ending."""
        found = [f"{name}{end}" for end in SUFFIXES if (self._folder / f"{name}{end}").is_file()]
        return found[0] if len(found) == 1 else None

    def _read_version(self, name: str, fields: dict[str, Any], prefix: str) -> str:
        value = fields.get("version", "")
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or len(value) > _VERSION_CHARS or not value.isprintable():
            raise self._fault(
                name, f"{prefix}version", f"{prefix}version is neither a short text nor a number"
            )
        return value

    def _read_filters(self, name: str, fields: dict[str, Any]) -> dict[str, str]:
        found = {key: fields[key] for key in FILTERS if key in fields}
        for key, value in found.items():
            if not isinstance(value, str):
                raise self._fault(name, key, f"{key} is not text")
        return found

    def _read_values(self, name: str, template: Template, table: Any) -> dict[str, str]:
        values = self._read_slots(name, "values", template, table)
        for key, value in values.items():
            if not isinstance(value, str | int | float) or isinstance(value, bool):
                raise self._fault(name, key, f"values.{key} is neither text nor a number")
        return {key: str(value) for key, value in values.items()}

    def _read_rates(self, name: str, template: Template, table: Any) -> dict[str, Any]:
        rates = self._read_slots(name, "varies", template, table)
        return {
            key: self._read_choice(name, f"varies.{key}", value, RATES)
            for key, value in rates.items()
        }

    def _read_slots(self, name: str, key: str, template: Template, table: Any) -> dict[str, Any]:
        """What a table says of the template's placeholders."""
        if not isinstance(table, dict):
            raise self._fault(name, key, f"{key} is not a table")
        fields = cast("dict[str, Any]", table)
        self._refuse_unknown(
            name, fields, [find_path(one.name) for one in template.slots], f"{key}."
        )
        return fields

    def _read_choice(self, name: str, key: str, value: Any, known: Sequence[Any]) -> Any:
        if value not in known:
            raise self._fault(
                name, key, f"{key} is not one of {', '.join(known)}", _suggest(str(value), known)
            )
        return value

    def _refuse_unknown(
        self, name: str, fields: dict[str, Any], known: Sequence[str], prefix: str
    ) -> None:
        for key in fields:
            if key not in known:
                told = f"unknown key '{prefix}{key}'"
                raise self._fault(name, f"{prefix}{key}", told, _suggest(key, known))

    def _fault(self, name: str, key: str, message: str, hint: str = "") -> ConfigError:
        where = f"{self._shown}:{self._find_line(name, key)}"
        return ConfigError(f"[{name}] {message}", where=where, hint=hint)

    def _find_line(self, name: str, key: str) -> int:
        """The line of a table's key (`was.file`), as far as the text shows it; else the table's."""
        header = re.compile(rf"""\s*\[\s*["']?{re.escape(name)}["']?\s*[\].]""")
        heads = [at for at, line in enumerate(self._lines) if header.match(line)]
        start = heads[0] if heads else 0
        for part in key.split(".") if key else ():
            wanted = re.compile(rf"""(^|[\s{{,."'\[]){re.escape(part)}["']?\s*[=\]]""")
            found = (at for at in range(start, len(self._lines)) if wanted.search(self._lines[at]))
            start = next(found, start)
        return start + 1


def _suggest(value: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(value, list(known), n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
