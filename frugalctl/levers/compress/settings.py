"""The settings of a compression, from the recipe's table `[compress]` or the command line."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, fields
from typing import Any, Literal, cast

from frugalctl.errors import ConfigError, UsageError

Tier = Literal["lossless", "structural", "lossy"]
Method = Literal["extractive", "llmlingua", "longllmlingua", "llmlingua2"]
Embedder = Literal["none", "static", "minilm"]
Reorder = Literal["none", "first", "ends"]

TIERS: tuple[Tier, ...] = ("lossless", "structural", "lossy")
METHODS: tuple[Method, ...] = ("extractive", "llmlingua", "longllmlingua", "llmlingua2")
EMBEDDERS: tuple[Embedder, ...] = ("none", "static", "minilm")
REORDERS: tuple[Reorder, ...] = ("none", "first", "ends")

DEFAULT_MODEL = "gpt-5.4-mini"
LLMLINGUA_RATE = 0.5


@dataclass(frozen=True, slots=True)
class CompressSettings:
    """How prompts are compressed.

    Attributes:
        tiers: which tiers run; they run in the order of `TIERS` whatever the order here.
        method: what the lossy tier is: our own extraction, or a method of LLMLingua.
        llm: folder or hub name of the model that LLMLingua scores with; None for the others.
        device: where that model runs, as torch names it.
        coarse: llmlingua and longllmlingua: choose whole documents and sentences only.
        rate: the share of the original tokens to keep, above 0 and up to 1; None if not said.
        target_tokens: the most tokens to keep, in place of `rate`; None if not said.
        model: whose tokens are counted.
        protect: regular expressions; what they match comes out as it went in.
        whitespace: lossless: blank lines and trailing spaces off.
        json: lossless: insignificant white space of JSON off.
        escapes: lossless: unicode escapes decoded.
        repeats: lossless: a long block that occurs again becomes a reference to the first.
        tables: lossless: padding of Markdown tables off.
        records: structural: JSON arrays of records become tables.
        html: structural: HTML becomes text.
        comments: structural: comments of code off.
        docstrings: structural: Python docstrings off too.
        logs: structural: log lines of one template become one with counts and values.
        embedder: extractive: what is fused with the lexical scores: nothing, the bundled static
            vectors, or MiniLM (the extra `embed`).
        neighbours: extractive: how many turns of a dialogue on each side lend their score; None
            lets the text decide.
        reorder: extractive: documents stay in their order ("none"), or go by relevance with the
            best "first" or at both "ends".
        auto: extractive: without a budget, drop only what surely does not matter; with one, warn
            where what has to go for it may matter.
        seed: where chance plays (LLMLingua's model).
    """

    tiers: tuple[Tier, ...] = TIERS
    method: Method = "extractive"
    llm: str | None = None
    device: str = "cpu"
    coarse: bool = False
    rate: float | None = None
    target_tokens: int | None = None
    model: str = DEFAULT_MODEL
    protect: tuple[str, ...] = ()
    whitespace: bool = True
    json: bool = True
    escapes: bool = True
    repeats: bool = True
    tables: bool = True
    records: bool = True
    html: bool = True
    comments: bool = True
    docstrings: bool = False
    logs: bool = True
    embedder: Embedder = "static"
    neighbours: int | None = None
    reorder: Reorder = "none"
    auto: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rate is not None and self.target_tokens is not None:
            raise UsageError("rate and target_tokens are two ways to say the same: give one")
        if self.rate is not None and not 0 < self.rate <= 1:
            raise UsageError(
                f"rate {self.rate:g} is not above 0 and up to 1",
                hint="0.5 keeps half of the tokens, 0.25 a quarter",
            )
        if self.target_tokens is not None and self.target_tokens < 1:
            raise UsageError(f"target_tokens {self.target_tokens} is less than 1")
        _check_method(self)
        if self.protect:
            from frugalctl.levers.compress.protect import compile_patterns

            compile_patterns(self.protect)


def _check_method(settings: CompressSettings) -> None:
    method = settings.method
    if method == "extractive" and settings.llm is not None:
        raise UsageError(
            "--llm is for LLMLingua's methods",
            hint="add --method llmlingua2 (in a recipe: method)",
        )
    if method != "extractive" and not settings.llm:
        raise UsageError(
            f"the method {method} needs a model",
            hint="name its folder with --llm (in a recipe: llm)",
        )
    if settings.coarse and method not in ("llmlingua", "longllmlingua"):
        raise UsageError("--coarse is for --method llmlingua and longllmlingua")


_CHOICES: dict[str, tuple[str, ...]] = {
    "method": METHODS,
    "embedder": EMBEDDERS,
    "reorder": REORDERS,
}
_TEXTS = ("llm", "device", "model")
_SWITCHES = (
    "whitespace",
    "json",
    "escapes",
    "repeats",
    "tables",
    "records",
    "html",
    "comments",
    "docstrings",
    "logs",
    "auto",
    "coarse",
)
_COUNTS = {"target_tokens": 1, "neighbours": 0, "seed": 0}
_KNOWN = tuple(item.name for item in fields(CompressSettings))


def parse_compress_table(table: dict[str, Any]) -> CompressSettings:
    """Settings from the TOML table `[compress]`.

    Raises:
        ConfigError: an unknown key, or a value that makes no sense.
    """
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in _KNOWN:
            near = difflib.get_close_matches(key, _KNOWN, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(_KNOWN)}"
            if key in TIERS:
                hint = f'write tiers = ["{key}"]'
            raise ConfigError(f"[compress] unknown key {key!r}", hint=hint)
        values[key] = _read_value(key, value)
    try:
        settings = CompressSettings(**values)
        check_purpose(settings)
    except UsageError as error:
        raise ConfigError(f"[compress] {error.message}", hint=error.hint) from None
    return settings


def check_purpose(settings: CompressSettings) -> None:
    """Fail where what was asked for has nothing to do.

    Raises:
        UsageError: a method of LLMLingua's, but not the lossy tier that it is.
    """
    if settings.method != "extractive" and "lossy" not in settings.tiers:
        raise UsageError(f"--method {settings.method} has nothing to do without the lossy tier")


def dump_compress_table(settings: CompressSettings) -> dict[str, Any]:
    """The table that gives these settings: the inverse of `parse_compress_table`.

    Values that are the default ones are left out.
    """
    plain = CompressSettings()
    table: dict[str, Any] = {}
    for key in _KNOWN:
        value = getattr(settings, key)
        if value != getattr(plain, key):
            table[key] = list(cast("tuple[str, ...]", value)) if isinstance(value, tuple) else value
    return table


def _read_value(key: str, value: Any) -> Any:
    if key in _CHOICES:
        return _read_choice(key, value, _CHOICES[key])
    if key in _TEXTS:
        return _require(key, value, isinstance(value, str) and value != "", "a text")
    if key in _SWITCHES:
        return _require(key, value, isinstance(value, bool), "true or false")
    if key in _COUNTS:
        least = _COUNTS[key]
        fits = isinstance(value, int) and not isinstance(value, bool) and value >= least
        return _require(key, value, fits, f"a whole number of at least {least}")
    if key == "rate":
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
        return float(_require(key, value, fits, "a number"))
    return _read_list(key, value)


def _read_list(key: str, value: Any) -> tuple[str, ...]:
    items = cast("list[Any]", value if isinstance(value, list) else [None])
    _require(key, value, all(isinstance(item, str) for item in items), "a list of texts")
    if key == "protect":
        return tuple(items)
    for item in items:
        _read_choice(key, item, TIERS)
    _require(key, value, bool(items), f"a list that names one of {', '.join(TIERS)}")
    return tuple(tier for tier in TIERS if tier in items)


def _read_choice(key: str, value: Any, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ConfigError(
            f"[compress] unknown {key.removesuffix('s')} {value!r}",
            hint=f"known: {', '.join(known)}",
        )
    return value


def _require(key: str, value: Any, fits: bool, what: str) -> Any:
    if not fits:
        raise ConfigError(f"[compress] {key} is not {what}")
    return value
