"""A prompt template: literals with placeholders between, found in a text and filled in again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import Formatter

from frugalctl.errors import ConfigError

_NAME = r"[A-Za-z_]\w*"
_JINJA = re.compile(rf"\{{\{{-?\s*({_NAME}(?:\.{_NAME})*)\s*-?\}}\}}")
_DOLLAR = re.compile(rf"\$\{{({_NAME})\}}")
_BRACES = re.compile(rf"(?<![{{$])\{{({_NAME})\}}(?!\}})")
_STATEMENT = re.compile(r"\{%.*?%\}", re.DOTALL)
_EXPRESSION = re.compile(r"\{\{[^{}]*\}\}")
_JINJA_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for a value.

    Attributes:
        name: of the placeholder; "" for one that was inferred and has none.
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
    """

    texts: tuple[str, ...]
    slots: tuple[Slot, ...]
    first_line: int = 1

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


def parse_template(source: str, where: str) -> Template:
    """Read a template.

    A file has placeholders of one style: `{{ name }}` if it has any of these, else `${name}`, else
    `{name}`. A name is an identifier, so `{"a": 1}` is plain text. Where `str.format` would take a
    file with `{name}`, its doubled braces stand for single ones, as there.

    Args:
        source: the file's text.
        where: its name, for messages.

    Raises:
        ConfigError: statements, or expressions that are more than a name.
    """
    source = source.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if _JINJA.search(source) or _STATEMENT.search(source):
        source = _JINJA_COMMENT.sub(lambda found: "\n" * found[0].count("\n"), source)
        _refuse_logic(source, where)
        return _cut(source, _JINJA)
    if _DOLLAR.search(source):
        return _cut(source, _DOLLAR)
    if _is_format_string(source):
        return _cut(source, _BRACES, unescape=True)
    return _cut(source, _BRACES)


def _refuse_logic(source: str, where: str) -> None:
    found = _STATEMENT.search(source)
    if found is None:
        found = next(
            (one for one in _EXPRESSION.finditer(source) if not _JINJA.match(one[0])), None
        )
    if found is not None:
        raise ConfigError(
            f"{_shorten(found[0])} is more than a placeholder",
            where=f"{where}:{source.count(chr(10), 0, found.start()) + 1}",
            hint="only {{ name }} is understood; work out the rest before, and pass it as a value",
        )


def _shorten(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


def _is_format_string(source: str) -> bool:
    """Whether `str.format` would take the file, with nothing but names in its fields."""
    try:
        fields = [field[1:] for field in Formatter().parse(source)]
    except ValueError:
        return False
    named = [(name, spec, how) for name, spec, how in fields if name is not None]
    return bool(named) and all(
        name.isidentifier() and not spec and not how for name, spec, how in named
    )


def _cut(source: str, pattern: re.Pattern[str], *, unescape: bool = False) -> Template:
    texts: list[str] = []
    slots: list[Slot] = []
    at, line = 0, 1
    for found in _find_slots(source, pattern, unescape):
        texts.append(source[at : found.start()])
        line += texts[-1].count("\n")
        slots.append(Slot(found[1], line))
        line += found[0].count("\n")
        at = found.end()
    texts.append(source[at:])
    if unescape:
        texts = [text.replace("{{", "{").replace("}}", "}") for text in texts]
    first_line = 1 + texts[0][: len(texts[0]) - len(texts[0].lstrip())].count("\n")
    texts[0], texts[-1] = texts[0].lstrip(), texts[-1].rstrip()
    if not slots:
        texts = [texts[0].rstrip()]
    return Template(tuple(texts), tuple(slots), first_line)


def _find_slots(source: str, pattern: re.Pattern[str], unescape: bool) -> list[re.Match[str]]:
    """The placeholders; of a format string also those right beside doubled braces."""
    if not unescape:
        return list(pattern.finditer(source))
    field = re.compile(rf"\{{\{{|\}}\}}|\{{({_NAME})\}}")
    return [found for found in field.finditer(source) if found[1]]
