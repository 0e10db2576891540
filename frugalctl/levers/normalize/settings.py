"""The settings of the normaliser, from a recipe's table."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from frugalctl.errors import ConfigError
from frugalctl.files import read_toml

StepName = Literal["synonyms", "modifiers", "stop-words", "korean", "word-order"]
STEPS: tuple[StepName, ...] = ("synonyms", "modifiers", "stop-words", "korean", "word-order")
_KNOWN = ("steps", "synonyms", "modifiers", "stop_words")
_LISTS = {"modifiers": "modifiers", "stop_words": "stop-words"}


@dataclass(frozen=True, slots=True)
class NormalizeSettings:
    """What a reduction drops beyond the safe key.

    Attributes:
        steps: the opt-in steps; they apply in the order of `STEPS`, however they are listed.
        synonyms: the user's own groups; every member becomes the first one of its group.
        modifiers: the user's own words and phrases that do not change a request.
        stop_words: the user's own words without content.

    Raises:
        ConfigError: an unknown step, or words of the user's for a step that is not asked for.
    """

    steps: tuple[str, ...] = ()
    synonyms: tuple[tuple[str, ...], ...] = ()
    modifiers: tuple[str, ...] = ()
    stop_words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for step in self.steps:
            if step not in STEPS:
                _raise_unknown("step", step, STEPS)
        ordered = tuple(step for step in STEPS if step in self.steps)
        object.__setattr__(self, "steps", ordered)
        own = {
            "synonyms": self.synonyms,
            "modifiers": self.modifiers,
            "stop-words": self.stop_words,
        }
        for step, words in own.items():
            if words and step not in ordered:
                raise ConfigError(
                    f"[normalize] has {step.replace('-', '_')}, and no such step",
                    hint=f'add "{step}" to steps',
                )


def parse_normalize_table(table: dict[str, Any], folder: Path | None = None) -> NormalizeSettings:
    """Settings from a TOML table.

    Args:
        table: the table `[normalize]`: `steps`, a list of names; `synonyms`, a table of lists or
            a TOML file of such a table; `modifiers` and `stop_words`, lists.
        folder: where the recipe lies; a file of synonyms is looked for there.

    Raises:
        ConfigError: an unknown key, or a value that makes no sense.
    """
    for key in table:
        if key not in _KNOWN:
            _raise_unknown("key", key, _KNOWN)
    values: dict[str, Any] = {"steps": _read_words(table.get("steps", []), "steps")}
    for key in _LISTS:
        values[key] = _read_words(table.get(key, []), key)
    if "synonyms" in table:
        values["synonyms"] = _read_synonyms(table["synonyms"], folder)
    return NormalizeSettings(**values)


def _read_synonyms(value: Any, folder: Path | None) -> tuple[tuple[str, ...], ...]:
    if isinstance(value, str):
        return load_synonyms(Path(value) if folder is None else folder / value)
    return tuple(_read_groups(value))


def load_synonyms(path: Path) -> tuple[tuple[str, ...], ...]:
    """Groups of synonyms from a TOML file: `word = ["other word", "a phrase"]` a line.

    Raises:
        ConfigError: unreadable, not TOML, or not such a table.
    """
    groups = read_toml(path)
    try:
        return tuple(_read_groups(groups))
    except ConfigError as error:
        raise ConfigError(error.message, where=str(path), hint=error.hint) from None


def _read_groups(value: Any) -> Iterable[tuple[str, ...]]:
    if not isinstance(value, dict):
        raise ConfigError(
            "[normalize] synonyms is neither a file nor a table",
            hint='such as synonyms = {invoice = ["bill", "receipt"]}',
        )
    for word, others in cast("dict[str, Any]", value).items():
        yield (word, *_read_words(others, f"synonyms {word!r}"))


def _read_words(value: Any, what: str) -> tuple[str, ...]:
    items = cast("list[Any]", value) if isinstance(value, list) else [None]
    if not all(isinstance(item, str) and item.strip() for item in items):
        raise ConfigError(f"[normalize] {what} is not a list of texts")
    return tuple(cast("list[str]", items))


def _raise_unknown(what: str, name: str, known: tuple[str, ...]) -> None:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    raise ConfigError(f"[normalize] unknown {what} {name!r}", hint=hint)
