"""What a compression took away and put in its place, for a terminal and as a page of HTML."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from frugalctl.levers.compress.pieces import CompressedPart, Piece
from frugalctl.levers.compress.pipeline import CompressedPrompt

Mark = Literal["@", "-", "+"]

_JOINED_CHARS = 40
_VISIBLE = {" ": "·", "\t": "→", "\r": "␍"}
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em }}
pre {{ white-space: pre-wrap; overflow-wrap: anywhere; background: #f6f6f6; padding: 1em }}
del {{ background: #ffdcd9; color: #8a1c12 }}
ins {{ background: #d9f2dd; color: #14532d; text-decoration: none }}
@media (prefers-color-scheme: dark) {{
body {{ background: #16181c; color: #ddd }}
pre {{ background: #22252b }}
del {{ background: #4a1d1a; color: #ffb4ab }}
ins {{ background: #173822; color: #a9e5b5 }}
}}
</style>
</head>
<body>
<h1>{title}</h1>
<p><del>Dropped</del>, <ins>put in its place</ins>; the reason shows when pointed at.</p>
{body}</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of a diff: a heading ("@"), what is gone ("-"), or what is there now ("+")."""

    mark: Mark
    text: str

    def __str__(self) -> str:
        return f"@@ {self.text} @@" if self.mark == "@" else f"{self.mark} {self.text}"


@dataclass(frozen=True, slots=True)
class _Hunk:
    start: int
    end: int
    before: str
    after: str
    reason: str


def diff_prompt(name: str, short: CompressedPrompt) -> list[DiffLine]:
    """The changes of a prompt, each under a heading with its offsets and its reason.

    White space at either end of a line is made visible, as "·" and the like, where that is all
    that changed. Documents in another order are diffed in the order of the original.
    """
    lines: list[DiffLine] = []
    for part in short.parts:
        place = f"{name} {part.part.path}".strip()
        for hunk in _find_hunks(part):
            before, after = hunk.before, hunk.after
            if "".join(before.split()) == "".join(after.split()):
                before, after = _show_space(before), _show_space(after)
            reason = f": {hunk.reason}" if hunk.reason else ""
            lines.append(DiffLine("@", f"{place} {hunk.start}-{hunk.end}{reason}"))
            lines += [DiffLine("-", line) for line in _split_lines(before)]
            lines += [DiffLine("+", line) for line in _split_lines(after)]
    return lines


def render_html_diff(prompts: Sequence[tuple[str, CompressedPrompt]]) -> str:
    """One page without scripts and without anything loaded; every text in it is escaped."""
    title = prompts[0][0] if len(prompts) == 1 else f"{len(prompts)} prompts"
    body = "".join(_render_prompt(name, short, len(prompts) > 1) for name, short in prompts)
    return _PAGE.format(title=html.escape(f"Compressed: {title}"), body=body)


def _render_prompt(name: str, short: CompressedPrompt, named: bool) -> str:
    head = f"<h2>{html.escape(name)}</h2>\n" if named else ""
    rate = "" if short.rate is None else f" ({short.rate:.1%})"
    told = (
        f"<p>{short.tokens_before:,} &rarr; {short.tokens_after:,} tokens of "
        f"{html.escape(short.model)}{rate}</p>\n"
    )
    warnings = "".join(f"<p>Warning: {html.escape(one)}</p>\n" for one in short.warnings)
    parts = "".join(_render_part(part) for part in short.parts if part.part.text)
    return head + told + warnings + parts


def _render_part(part: CompressedPart) -> str:
    told = " ".join(word for word in (part.part.role or "", part.part.path) if word)
    head = f"<h3>{html.escape(told)}</h3>\n" if told else ""
    body = "".join(_render_piece(part.part.text, piece) for piece in part.pieces)
    return f"{head}<pre>\n{body}</pre>\n"


def _render_piece(text: str, piece: Piece) -> str:
    original = text[piece.start : piece.end]
    if piece.text == original:
        return _escape(original)
    why = [piece.reason] if piece.reason else []
    why += [f"score {piece.score:.3f}"] if piece.score is not None else []
    title = f' title="{html.escape("; ".join(why))}"' if why else ""
    gone = f"<del{title}>{_escape(original)}</del>" if original else ""
    return gone + (f"<ins{title}>{_escape(piece.text)}</ins>" if piece.text else "")


def _escape(text: str) -> str:
    """Text for HTML, without control characters and lone surrogates, which it cannot have."""
    return html.escape(
        "".join(
            char if char.isprintable() or char in "\n\t" else _name_char(char) for char in text
        ),
        quote=False,
    )


def _name_char(char: str) -> str:
    if char.isspace() or char in "\u200d\u200c\u200e\u200f\ufeff":
        return "" if char == "\r" else char
    return char.encode("unicode_escape").decode()


def _find_hunks(part: CompressedPart) -> Iterator[_Hunk]:
    """Changes, those that nearly touch in one."""
    group: list[Piece] = []
    text = part.part.text
    kept_chars = 0
    for piece in part.pieces:
        original = text[piece.start : piece.end]
        if piece.text != original:
            group.append(piece)
            kept_chars = 0
        elif group:
            kept_chars += len(original)
            if kept_chars > _JOINED_CHARS or ("\n" in original and original.strip()):
                yield _make_hunk(text, group)
                group, kept_chars = [], 0
            else:
                group.append(piece)
    if group:
        yield _make_hunk(text, group)


def _make_hunk(text: str, group: Sequence[Piece]) -> _Hunk:
    while group[-1].text == text[group[-1].start : group[-1].end]:
        group = group[:-1]
    start, end = group[0].start, group[-1].end
    reasons = dict.fromkeys(piece.reason for piece in group if piece.reason)
    after = "".join(piece.text for piece in group)
    return _Hunk(start, end, text[start:end], after, ", ".join(reasons))


def _split_lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


def _show_space(text: str) -> str:
    return "".join(_VISIBLE.get(char, char) for char in text)
