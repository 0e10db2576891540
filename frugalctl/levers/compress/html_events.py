"""What stands where in HTML: tags, text and the rest, each with its offset."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import accumulate, pairwise
from typing import Literal

_ADDRESS = re.compile(r"(?:(?:https?|ftps?)://|mailto:|tel:)[^\s{}()<>]+", re.IGNORECASE)

EventKind = Literal["start", "end", "data", "entity", "other"]


@dataclass(frozen=True, slots=True)
class Event:
    """A run of characters of one kind; the events of a text follow each other without a gap.

    Attributes:
        start: offset of its first character.
        end: offset after its last.
        kind: a tag that opens or closes, text, a character reference, or a comment and the like.
        tag: of a tag, its name in lower case.
        alt: of an image, the text that stands for it; of an input, its state or its text.
        link: of a link, its address where that is a whole one: a relative one says little outside
            of its site.
    """

    start: int
    end: int
    kind: EventKind
    tag: str = ""
    alt: str = ""
    link: str = ""


def parse_events(text: str) -> list[Event]:
    """The events of any text, however broken its markup is.

    Empty where the text has so much markup left open that the parser, which looks for each end
    anew, would take more than linear time.
    """
    if not _is_sound(text):
        return []
    return _Collector(text).collect()


def _is_sound(text: str) -> bool:
    return (
        text.count("<") - text.count(">") < 500
        and text.count("<!--") - text.count("-->") < 50
        and text.count("<!") - text.count("<!--") < 500
        and text.count("<?") < 500
    )


class _Collector(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=False)
        self._text = text
        self._found: list[tuple[int, EventKind, str, str, str]] = []
        lengths = (len(line) + 1 for line in text.split("\n"))
        self._line_starts = list(accumulate(lengths, initial=0))

    def collect(self) -> list[Event]:
        self.feed(self._text)
        self.close()
        end: tuple[int, EventKind, str, str, str] = (len(self._text), "other", "", "", "")
        return [
            Event(start, following[0], kind, tag, alt, link)
            for (start, kind, tag, alt, link), following in pairwise([*self._found, end])
        ]

    def _add(self, kind: EventKind, tag: str = "", alt: str = "", link: str = "") -> None:
        line, column = self.getpos()
        self._found.append((self._line_starts[line - 1] + column, kind, tag, alt, link))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._add("start", tag, _describe(tag, dict(attrs)), _find_link(tag, dict(attrs)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        self._add("end", tag)

    def handle_data(self, data: str) -> None:
        self._add("data")

    def handle_entityref(self, name: str) -> None:
        self._add("entity")

    def handle_charref(self, name: str) -> None:
        self._add("entity")

    def handle_comment(self, data: str) -> None:
        self._add("other")

    def handle_decl(self, decl: str) -> None:
        self._add("other")

    def handle_pi(self, data: str) -> None:
        self._add("other")

    def unknown_decl(self, data: str) -> None:
        self._add("other")


def _describe(tag: str, attributes: dict[str, str | None]) -> str:
    """What a tag shows by itself."""
    shown = ""
    if tag == "img":
        shown = attributes.get("alt") or ""
    elif tag == "option":
        shown = "(selected)" if "selected" in attributes else ""
    elif tag == "input":
        kind = (attributes.get("type") or "text").lower()
        if kind in ("checkbox", "radio"):
            shown = "[x]" if "checked" in attributes else "[ ]"
        elif kind not in ("hidden", "password"):
            shown = attributes.get("value") or attributes.get("placeholder") or ""
    return " ".join(shown.split())


def _find_link(tag: str, attributes: dict[str, str | None]) -> str:
    address = (attributes.get("href") or "").strip() if tag == "a" else ""
    return address if _ADDRESS.fullmatch(address) else ""
