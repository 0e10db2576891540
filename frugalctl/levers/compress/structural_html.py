"""HTML as text: what a reader would see, with Markdown's marks where structure matters."""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator

from frugalctl.levers.compress.html_events import Event, parse_events
from frugalctl.levers.compress.pieces import Part, Piece
from frugalctl.levers.compress.runs import Run, find_pinned

HTML = "HTML as text"

_HIDDEN = frozenset({"script", "style", "template", "svg", "iframe", "object", "canvas"})
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_PARAGRAPHS = frozenset("p table ul ol dl pre blockquote article section hr".split()).union(
    _HEADINGS
)
_LINES = frozenset(
    "div li tr br dt dd option title header footer nav main aside form figure figcaption caption "
    "address thead tbody tfoot body head html fieldset legend details summary select button "
    "textarea".split()
)
_WORDS = re.compile(r"(?P<space>[ \t\r\n\f]+)|[^ \t\r\n\f]+(?: [^ \t\r\n\f]+)*")
_INVISIBLE = "\u00ad\u200b\u200c\u200d\u2060\ufeff"


def find_html_runs(part: Part) -> Iterator[Run]:
    """Tags, scripts, styles and comments off, in every segment of HTML.

    Text of links, alternative text of images, headings, items of lists, rows and cells of tables
    and preformatted code stay, and so do the addresses of links, as Markdown has them, and what
    is chosen in a form. A segment without anything to read stays as it is.
    """
    for segment in part.segments:
        if segment.locked or segment.kind != "html":
            continue
        body = part.text[segment.start : segment.end]
        offset = segment.start + len(body) - len(body.lstrip())
        for piece in _Renderer(body.strip(), offset).render():
            for cut in _cut_around(part, piece):
                yield (cut,)


def _cut_around(part: Part, piece: Piece) -> Iterator[Piece]:
    """The piece without the placeholders inside, which stay."""
    start, text = piece.start, piece.text
    for span in find_pinned(part, start, piece.end):
        if span.start > start:
            yield Piece(start, span.start, text, HTML)
            text = ""
        start = max(start, span.end)
    if start < piece.end or text:
        yield Piece(start, max(start, piece.end), text, HTML)


class _Renderer:
    """Turns events into changed pieces; text that stays as it is has none."""

    def __init__(self, text: str, offset: int) -> None:
        self._text = text
        self._offset = offset
        self._pieces: list[Piece] = []
        self._break = 0
        self._mark = ""
        self._space = False
        self._visible = False
        self._preformatted = False
        self._cells: int | None = None
        self._lists: list[int | None] = []
        self._link = ""
        self._last_link_end = 0

    def render(self) -> list[Piece]:
        events = parse_events(self._text)
        closings: dict[str, list[int]] = defaultdict(list)
        for event in events:
            if event.kind == "end":
                closings[event.tag].append(event.end)
        self._last_link_end = max(closings["a"], default=0)
        hidden_until = 0
        for event in events:
            if event.kind == "start" and event.tag in _HIDDEN and event.start >= hidden_until:
                ends = closings[event.tag]
                at = bisect_right(ends, event.start)
                hidden_until = ends[at] if at < len(ends) else hidden_until
            if event.start < hidden_until or event.kind == "other":
                self._change(event.start, event.end, "")
            else:
                self._handle(event)
        return self._pieces if self._visible else []

    def _handle(self, event: Event) -> None:
        if event.kind == "start":
            self._open(event)
        elif event.kind == "end":
            self._close(event)
        elif event.kind == "entity":
            self._decode(event)
        elif self._preformatted:
            self._show(event.start, event.end)
        else:
            for match in _WORDS.finditer(self._text, event.start, event.end):
                if match["space"]:
                    self._space = True
                    self._change(*match.span(), "")
                else:
                    self._show(*match.span())

    def _open(self, event: Event) -> None:
        tag = event.tag
        self._separate(tag)
        if tag in ("td", "th"):
            self._mark += " | " if self._cells else ""
            self._cells = (self._cells or 0) + 1
        elif tag in ("tr", "table"):
            self._cells = None
        elif tag in ("ul", "ol"):
            self._lists.append(0 if tag == "ol" else None)
        elif tag == "li":
            self._mark = self._bullet()
        elif tag in _HEADINGS:
            self._mark += _HEADINGS[tag]
        elif tag == "pre" and not self._preformatted:
            self._preformatted = True
            self._mark += "```\n"
        elif tag == "code" and not self._preformatted:
            self._mark += "`"
        self._begin_link(event)
        self._change(event.start, event.end, "")
        if event.alt:
            self._flush(event.end)
            self._append(event.end, event.alt)
            self._space = self._space or tag in ("input", "option")

    def _close(self, event: Event) -> None:
        tag = event.tag
        self._change(event.start, event.end, "")
        if tag == "a":
            self._end_link(event.end)
        elif tag == "pre" and self._preformatted:
            self._preformatted = False
            self._end_mark(event.end, "```\n", "\n```")
        elif tag == "code" and not self._preformatted:
            self._end_mark(event.end, "`", "`")
        elif tag in ("tr", "table"):
            self._mark, self._cells = "", None
        elif tag in ("ul", "ol") and self._lists:
            self._lists.pop()
        elif tag == "li" or tag in _HEADINGS:
            self._mark = self._mark if self._cells else ""
        self._separate(tag)

    def _separate(self, tag: str) -> None:
        """A line break where the tag makes one; inside a cell of a table, a blank."""
        level = 2 if tag in _PARAGRAPHS else 1 if tag in _LINES else 0
        if level and self._cells and tag not in ("tr", "table", "tbody", "tfoot", "thead"):
            self._space = True
        else:
            self._break = max(self._break, level)

    def _bullet(self) -> str:
        indent = "  " * (len(self._lists) - 1)
        if not self._lists or self._lists[-1] is None:
            return indent + "- "
        self._lists[-1] += 1
        return f"{indent}{self._lists[-1]}. "

    def _end_mark(self, at: int, opening: str, closing: str) -> None:
        """The mark's other half, or none of it where nothing stood inside."""
        if self._mark.endswith(opening):
            self._mark = self._mark.removesuffix(opening)
        else:
            self._append(at, closing)

    def _begin_link(self, event: Event) -> None:
        """An opening bracket, unless the text of the link is its address or does not end."""
        if event.tag != "a" or event.end > self._last_link_end:
            return
        self._end_link(event.start)
        shown = self._text[event.end : event.end + len(event.link) + 1]
        if event.link and not self._preformatted and not shown.startswith(event.link):
            self._link = event.link
            self._mark += "["

    def _end_link(self, at: int) -> None:
        if self._link:
            self._end_mark(at, "[", f"]({self._link})")
            self._link = ""

    def _decode(self, event: Event) -> None:
        raw = self._text[event.start : event.end]
        character = html.unescape(raw)
        if character == raw:
            self._show(event.start, event.end)
        elif character in _INVISIBLE:
            self._change(event.start, event.end, "")
        elif character.isspace() and not self._preformatted:
            self._space = True
            self._change(event.start, event.end, "")
        else:
            self._flush(event.start)
            self._change(event.start, event.end, character)

    def _show(self, start: int, end: int) -> None:
        if start < end:
            self._flush(start)

    def _flush(self, at: int) -> None:
        """Write the break, the mark or the blank that is due before something visible."""
        due = "\n" * self._break or " " * self._space
        text = (due if self._visible and not self._mark.startswith(" |") else "") + self._mark
        self._break, self._mark, self._space, self._visible = 0, "", False, True
        if text:
            self._append(at, text)

    def _append(self, at: int, text: str) -> None:
        self._change(at, at, text)

    def _change(self, start: int, end: int, text: str) -> None:
        """One more changed piece, joined to the last one where they touch."""
        start, end = start + self._offset, end + self._offset
        if self._pieces and self._pieces[-1].end == start:
            start, text = self._pieces[-1].start, self._pieces.pop().text + text
        self._pieces.append(Piece(start, end, text, HTML))
