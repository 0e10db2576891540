"""A prompt template: literals with placeholders between, found in a text and filled in again."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from string import Formatter

from frugalctl.errors import ConfigError

_NAME = r"[^\W\d]\w*+"
_CALLED = rf"{_NAME}(?:\(\))?"
_INDEX = r"""\[(?:\d+|'[^'\n{}]*'|"[^"\n{}]*")\]"""
_JINJA = re.compile(
    rf"\{{\{{-?\s*({_CALLED}(?:\.{_CALLED}|{_INDEX})*(?:\s*\|\s*{_NAME})*)\s*-?\}}\}}"
)
_DOLLAR = re.compile(rf"\$\{{({_NAME})\}}")
_DOLLARS = re.compile(rf"{_DOLLAR.pattern}|(?<!\$)\$([A-Za-z_][A-Za-z0-9_]*)")
_BRACES = re.compile(rf"(?<![{{$])\{{({_NAME})\}}(?!\}})")
_FIELD_PATH = rf"{_NAME}(?:\.{_NAME}|\[[^\[\]{{}}\n]+\])*"
_FIELD = re.compile(rf"\{{\{{|\}}\}}|\{{({_FIELD_PATH}(?:![rsa])?(?::[^{{}}]*)?)\}}")
_FORMAT = re.compile(
    r"(?:.?[<>=^])?[-+ ]?z?#?0?\d*[,_]?(?:\.\d+)?[bcdeEfFgGnosxX%]?"
    r"|[^%\n]*(?:%[-#]?[A-Za-z%][^%\n]*)+"
)
_EXPRESSION = re.compile(r"\{\{[^{}]*\}\}")
_EXPRESSION_CHARS = 500
_LOGIC = (ast.BinOp, ast.BoolOp, ast.Call, ast.Compare, ast.IfExp, ast.UnaryOp)
_PATH = re.compile(rf"{_NAME}(?:\.{_NAME}(?!\())*")
_LOOKALIKE = re.compile(
    rf"""(?<![\w}}^\\{{$])(?:
    \{{\{{-?\s*[^\W\d][^{{}}\n]{{0,60}}\}}\}}
    | \{{\s*{_NAME}\s*(?:[.!\[|(][^{{}}\n]{{0,60}}|:(?!\s)[^{{}}\n]{{1,60}})?\}}
    | \$\{{[^\W\d][^{{}}\n]{{0,60}}\}}
    | \$[A-Za-z_]\w{{2,}}+(?!\$)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for a value.

    Attributes:
        name: of the placeholder, with what is done to the value, as in "now:%H" or "user | upper";
            "" for one that was inferred and has none.
        line: where it stands in the file, from 1.
    """

    name: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Template:
    """Literals with slots between them.

    Attributes:
        texts: k + 1 literals; no line ends with a carriage return, no white space at either end.
        slots: k slots.
        first_line: the line of the file that the first literal begins in, from 1.
        lookalikes: what looks like a placeholder in the literals, and where.
    """

    texts: tuple[str, ...]
    slots: tuple[Slot, ...]
    first_line: int = 1
    lookalikes: tuple[Slot, ...] = ()

    @property
    def literal_chars(self) -> int:
        """How much of it is fixed."""
        return sum(map(len, self.texts))

    @property
    def is_bare(self) -> bool:
        """Whether no word in it is fixed, so that any text matches it."""
        return not any(char.isalnum() for text in self.texts for char in text)

    def render(self, values: Sequence[str]) -> str:
        """The text with k values in the slots."""
        parts = [self.texts[0]]
        for value, text in zip(values, self.texts[1:], strict=True):
            parts += (value, text)
        return "".join(parts)

    def match(self, text: str) -> tuple[str, ...] | None:
        """The k values with which `render` makes this text; None where none do.

        Each literal is taken where it first occurs behind the one before, so a value is as short
        as can be; time is linear in the text.
        """
        first, last = self.texts[0], self.texts[-1]
        if not self.slots:
            return () if text == first else None
        at, stop = len(first), len(text) - len(last)
        if at > stop or not text.startswith(first) or not text.endswith(last):
            return None
        values: list[str] = []
        for literal in self.texts[1:-1]:
            found = text.find(literal, at, stop)
            if found < 0:
                return None
            values.append(text[at:found])
            at = found + len(literal)
        return (*values, text[at:stop])


def find_path(name: str) -> str:
    """The name of a placeholder without what is done to its value: "now" of "now.isoformat()"."""
    found = _PATH.match(name)
    return found[0] if found else name


def parse_template(source: str, where: str) -> Template:
    """Read a template.

    A file has placeholders of one style: `{{ name }}` if it has any of these, else `${name}` (and
    then `$name`), else `{name}`. `{{ name | filter }}`, `{{ name.method() }}` and attributes are
    placeholders as well, and so are `{name:format}`, `{name!r}` and `{name.attribute}` where
    `str.format` would take the file, whose doubled braces then stand for single ones, as there. A
    name is an identifier, so `{"a": 1}` is plain text.

    Args:
        source: the file's text.
        where: its name, for messages.

    Raises:
        ConfigError: statements of Jinja, or expressions that are more than a name.
    """
    source = source.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    is_jinja = bool(_find_slots(source, _JINJA))
    if is_jinja or _find_between(source, "{%", "%}"):
        source = _blank_comments(source)
    _refuse_logic(source, where, is_jinja)
    if is_jinja:
        return _cut(source, _JINJA)
    if _find_slots(source, _DOLLAR):
        return _cut(source, _DOLLARS)
    if _is_format_string(source):
        return _cut(source, _FIELD, unescape=True)
    return _cut(source, _BRACES)


def _refuse_logic(source: str, where: str, is_jinja: bool) -> None:
    found = _find_between(source, "{%", "%}") or next(
        (
            one.span()
            for one in _EXPRESSION.finditer(source)
            if not _JINJA.match(one[0]) and (is_jinja or _is_logic(one[0]))
        ),
        None,
    )
    if found is not None:
        raise ConfigError(
            f"{_shorten(source[slice(*found)])} is more than a placeholder",
            where=f"{where}:{source.count(chr(10), 0, found[0]) + 1}",
            hint="only {{ name }} is understood; work out the rest before, and pass it as a value",
        )


def _find_between(source: str, begin: str, end: str, at: int = 0) -> tuple[int, int] | None:
    """The first span from one mark to another, both included."""
    start = source.find(begin, at)
    stop = source.find(end, start + len(begin)) if start >= 0 else -1
    return None if stop < 0 else (start, stop + len(end))


def _blank_comments(source: str) -> str:
    """The text without comments of Jinja, their line ends kept."""
    parts: list[str] = []
    at = 0
    while found := _find_between(source, "{#", "#}", at):
        parts += (source[at : found[0]], "\n" * source.count("\n", *found))
        at = found[1]
    return "".join((*parts, source[at:]))


def _is_logic(text: str) -> bool:
    """Whether something is worked out between these braces, rather than doubled braces in code.

    Expressions of Jinja are nearly those of Python. Without spaces, as in LaTeX, they are text.
    """
    inner = text[2:-2].removeprefix("-").removesuffix("-")
    if not inner[:1].isspace() or len(inner) > _EXPRESSION_CHARS:
        return False
    inner = " ".join(inner.replace("~", "+").split())
    return any(isinstance(_read_python(form), _LOGIC) for form in (inner, f"{inner} else 0"))


def _read_python(text: str) -> ast.expr | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _shorten(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


def _is_format_string(source: str) -> bool:
    """Whether `str.format` would take the file, with nothing but named fields."""
    try:
        fields = [field[1:] for field in Formatter().parse(source)]
    except ValueError:
        return False
    named = [(name, spec or "", how) for name, spec, how in fields if name is not None]
    return bool(named) and all(
        re.fullmatch(_FIELD_PATH, name)
        and find_path(name).replace(".", "").isidentifier()
        and how in (None, "r", "s", "a")
        and spec.isprintable()
        and _FORMAT.fullmatch(spec)
        for name, spec, how in named
    )


def _cut(source: str, pattern: re.Pattern[str], *, unescape: bool = False) -> Template:
    texts: list[str] = []
    slots: list[Slot] = []
    lookalikes: list[Slot] = []
    at, line = 0, 1
    for found in (*_find_slots(source, pattern), None):
        text = source[at : found.start() if found else len(source)]
        texts.append(text)
        lookalikes += _find_lookalikes(text, line, unescape)
        line += text.count("\n")
        if found:
            slots.append(Slot(_read_name(found), line))
            line += found[0].count("\n")
            at = found.end()
    if unescape:
        texts = [text.replace("{{", "{").replace("}}", "}") for text in texts]
    first_line = 1 + texts[0][: len(texts[0]) - len(texts[0].lstrip())].count("\n")
    texts[0], texts[-1] = texts[0].lstrip(), texts[-1].rstrip()
    if not slots:
        texts = [texts[0].rstrip()]
    return Template(tuple(texts), tuple(slots), first_line, tuple(lookalikes))


def _find_slots(source: str, pattern: re.Pattern[str]) -> list[re.Match[str]]:
    """The placeholders; a pattern may also match what is none, such as doubled braces."""
    return [
        found
        for found in pattern.finditer(source)
        if found.lastindex and find_path(_read_name(found)).replace(".", "").isidentifier()
    ]


def _read_name(found: re.Match[str]) -> str:
    return re.sub(r"\s*\|\s*", " | ", found[found.lastindex or 0])


def _find_lookalikes(text: str, line: int, unescape: bool) -> Iterator[Slot]:
    for found in _LOOKALIKE.finditer(text):
        if not (unescape and found[0].startswith("{{")):
            yield Slot(found[0], line + text.count("\n", 0, found.start()))
