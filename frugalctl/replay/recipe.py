"""A recipe: which levers to apply, in TOML, one table a lever."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from frugalctl.errors import ConfigError
from frugalctl.files import read_toml
from frugalctl.levers.cascade import CascadePolicy

if TYPE_CHECKING:
    from frugalctl.levers.compress.settings import CompressSettings
    from frugalctl.levers.normalize import NormalizeSettings
    from frugalctl.levers.prompt_cache.settings import CacheSettings
    from frugalctl.levers.semantic_cache.settings import SemanticCacheSettings

_MS_KEY = "ms_per_1k_tokens"


@dataclass(frozen=True, slots=True)
class Recipe:
    """The levers of a replay; a recipe without levers reproduces the baseline.

    Attributes:
        name: what the report calls it.
        normalize: how the keys of the semantic cache are made; without one it decides nothing.
        semantic_cache: the semantic cache, if there is one.
        cascade: the cascade policy, if there is one.
        cascade_tasks: the policies of some tasks, in the place of `cascade`.
        prompt_cache: the provider's prompt cache, if one is simulated.
        compress: how prompts are compressed, if they are.
        compress_ms_per_1k_tokens: how long that takes; None if not said.
    """

    name: str = "as logged"
    cascade: CascadePolicy | None = None
    prompt_cache: CacheSettings | None = None
    semantic_cache: SemanticCacheSettings | None = None
    normalize: NormalizeSettings | None = None
    cascade_tasks: tuple[tuple[str, CascadePolicy], ...] = ()
    compress: CompressSettings | None = None
    compress_ms_per_1k_tokens: float | None = None

    @property
    def policies(self) -> tuple[CascadePolicy, ...]:
        """Every policy of the cascade, the one for all other tasks first."""
        return (self.cascade, *dict(self.cascade_tasks).values()) if self.cascade else ()

    @property
    def levers(self) -> tuple[str, ...]:
        """The levers in use, in the order in which they apply."""
        present = {
            "semantic_cache": self.semantic_cache,
            "cascade": self.cascade,
            "compress": self.compress,
            "prompt_cache": self.prompt_cache,
        }
        return tuple(name for name, lever in present.items() if lever)

    def settings(self) -> dict[str, Any]:
        """The settings of each lever in use, as plain data."""
        tables = ("normalize", *self.levers) if self.normalize else self.levers
        settings = {name: asdict(getattr(self, name)) for name in tables}
        if self.cascade_tasks:
            settings["cascade"]["tasks"] = {
                task: asdict(policy) for task, policy in self.cascade_tasks
            }
        if self.compress_ms_per_1k_tokens is not None:
            settings["compress"][_MS_KEY] = self.compress_ms_per_1k_tokens
        return settings


def load_recipe(path: str) -> Recipe:
    """Read a recipe file.

    Raises:
        ConfigError: unreadable, not TOML, an unknown table or key, a value of the wrong type.
    """
    data = read_toml(Path(path), path)
    try:
        return parse_recipe(data, Path(path).name.removesuffix(".toml"), Path(path).parent)
    except ConfigError as error:
        raise ConfigError(error.message, where=path, hint=error.hint) from None


def parse_recipe(data: dict[str, Any], name: str, folder: Path | None = None) -> Recipe:
    """A recipe from its decoded TOML.

    Args:
        data: the tables.
        name: what to call it if it does not say.
        folder: where files that it names are looked for first.

    Raises:
        ConfigError: an unknown table or key, or a value of the wrong type.
    """
    _refuse_unknown(data, ("name", *_TABLES), "")
    given = data.get("name", name)
    if not isinstance(given, str):
        raise ConfigError("name is not text")
    levers: dict[str, Any] = {
        lever: parse(table, folder)
        for lever, parse in _TABLES.items()
        if (table := _table(data, lever)) is not None
    }
    return Recipe(
        given,
        **levers,
        cascade_tasks=_parse_tasks(data, folder),
        compress_ms_per_1k_tokens=_parse_ms(data.get("compress", {})),
    )


def _parse_normalize(table: dict[str, Any], folder: Path | None) -> NormalizeSettings:
    from frugalctl.levers.normalize import parse_normalize_table

    return parse_normalize_table(table, folder)


def _parse_semantic_cache(table: dict[str, Any], folder: Path | None) -> SemanticCacheSettings:
    from frugalctl.levers.semantic_cache.settings import parse_semantic_cache_table

    return parse_semantic_cache_table(table, folder)


def _parse_prompt_cache(table: dict[str, Any], folder: Path | None) -> CacheSettings:
    from frugalctl.levers.prompt_cache.settings import parse_cache_table

    return parse_cache_table(table)


def _parse_compress(table: dict[str, Any], folder: Path | None) -> CompressSettings:
    from frugalctl.levers.compress.settings import parse_compress_table

    own = {key: value for key, value in table.items() if key != _MS_KEY}
    for key in own:
        if difflib.get_close_matches(key, [_MS_KEY], cutoff=0.7):
            raise ConfigError(f"[compress] unknown key {key!r}", hint=f"did you mean {_MS_KEY!r}?")
    llm = own.get("llm")
    if folder is not None and isinstance(llm, str) and (folder / llm).is_dir():
        own["llm"] = str(folder / llm)
    return parse_compress_table(own)


def _parse_ms(table: dict[str, Any]) -> float | None:
    value = table.get(_MS_KEY)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ConfigError(f"[compress] {_MS_KEY} is not a number of milliseconds")
    return float(value)


def _table(data: dict[str, Any], lever: str) -> dict[str, Any] | None:
    table = data.get(lever)
    if table is not None and not isinstance(table, dict):
        raise ConfigError(f"{lever} is not a table", hint=f"write [{lever}]")
    return cast("dict[str, Any] | None", table)


def _parse_cascade(table: dict[str, Any], folder: Path | None) -> CascadePolicy:
    from frugalctl.levers.cascade.settings import parse_cascade_table

    return parse_cascade_table(table, folder)


def _parse_tasks(
    data: dict[str, Any], folder: Path | None
) -> tuple[tuple[str, CascadePolicy], ...]:
    table = _table(data, "cascade")
    if table is None or "tasks" not in table:
        return ()
    from frugalctl.levers.cascade.settings import parse_cascade_tasks

    return parse_cascade_tasks(table, folder)


def _refuse_unknown(table: dict[str, Any], known: Iterable[str], prefix: str) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, list(known), n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise ConfigError(f"{prefix}unknown key {key!r}", hint=hint)


_TABLES: dict[str, Callable[[dict[str, Any], Path | None], Any]] = {
    "normalize": _parse_normalize,
    "semantic_cache": _parse_semantic_cache,
    "cascade": _parse_cascade,
    "compress": _parse_compress,
    "prompt_cache": _parse_prompt_cache,
}
