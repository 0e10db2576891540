"""Comments of code off, by the tokenizer of its language."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from frugalctl.levers.compress.comments_lexer import LANGUAGES, find_by_lexer
from frugalctl.levers.compress.comments_python import PYTHON, find_docstrings, find_python_comments
from frugalctl.levers.compress.pieces import Part, Piece
from frugalctl.levers.compress.runs import Run

COMMENT = "comment"
DOCSTRING = "docstring"
MAX_CHARS = 200_000

# What looks like a comment but is read by a machine, or has to stay with the code by law.
_KEPT = re.compile(
    r"#!|#\[|#cgo|/\*[!+]|--\+|//(?:go:|export\b|line\b)|//\s*\+build|///?\s*<(?:reference|amd)"
    r"|#\s*(?:type|pyright|mypy|pylint|ruff|fmt|yapf|isort|flake8|cython|rubocop|syntax|escape"
    r"|check|frozen_string_literal|yaml-language-server|shellcheck)\s*[:= ]\s*[\w\-]+[\[=:,]?"
    r"(?:$|[\s\w\-,.=\[\]/:]*$)"
    r"|.*?(?:noqa|nosec|nolint|NOSONAR|pragma\b|coding[:=]|-\*-|vim:|eslint|tslint|stylelint|@ts-"
    r"|@flow|@jsx|@preserve|__PURE__|prettier-ignore|istanbul|c8 ignore|v8 ignore|biome-ignore"
    r"|clang-format|IWYU|webpack[A-Z]|@vite-|swiftlint|ktlint|noinspection|@formatter"
    r"|copyright|\(c\) (?:19|20)\d\d|licen[cs]e|SPDX-|\+goose)",
    re.DOTALL | re.IGNORECASE,
)
_DOCUMENTS = ("/**", "///", "//!", "/*!", "##'", "#'")


def find_comment_runs(part: Part, comments: bool, docstrings: bool) -> Iterator[Run]:
    """Comments and, where asked for, docstrings off in segments of code.

    Kept are shebangs, pragmas of tools and compilers, and comments that speak of a copyright or a
    licence. Comments that document an interface (`/**`, `///`) count as docstrings. Code of
    unknown language is touched only if it parses as Python, code longer than `MAX_CHARS` never.
    Strings stay, and so does a segment that is nothing but comments.
    """
    for segment in part.segments:
        if segment.locked or segment.kind != "code":
            continue
        start, end = _inside_fence(part.text, segment.start, segment.end)
        if end - start > MAX_CHARS:
            continue
        code = part.text[start:end]
        pieces = _find_pieces(code, segment.language, comments, docstrings)
        if sum(piece.end - piece.start for piece in pieces) >= len(code.strip()):
            continue
        for piece in pieces:
            yield from _place(code, piece, start)


def _inside_fence(text: str, start: int, end: int) -> tuple[int, int]:
    """The code without the lines of a fence around it, where the segment has them."""
    body = text[start:end]
    match = re.match(r"[ \t>]*(`{3,}|~{3,})[^\n]*\n", body)
    if match is None:
        return start, end
    last = body.rstrip().rfind("\n") + 1
    closed = last >= match.end() and body[last:].strip().startswith(match[1])
    return start + match.end(), start + last if closed else end


def _find_pieces(code: str, language: str, comments: bool, docstrings: bool) -> list[Piece]:
    """What is to go from the code, in order."""
    if language in PYTHON or not language:
        found = find_python_comments(code) if comments else []
        wanted = [(start, end, COMMENT) for start, end in found]
        wanted += [(*span, DOCSTRING) for span in (find_docstrings(code) if docstrings else [])]
    elif language in LANGUAGES:
        wanted = list(_sort_comments(code, find_by_lexer(code, language), comments, docstrings))
    else:
        wanted = []
    wanted = [w for w in wanted if w[2] == DOCSTRING or not _KEPT.match(code[w[0] : w[1]])]
    pieces = [piece for each in sorted(wanted) if (piece := _widen(code, *each))]
    return list(_take_blank_lines(code, pieces))


def _take_blank_lines(code: str, pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Where whole lines go between two blank ones, the lower of these goes too."""
    end = block = 0
    for piece in pieces:
        block = block if piece.start == end else piece.start
        end = piece.end
        line_end = code.find("\n", end) + 1
        whole = code[block - 1 : block] in ("", "\n") and code[end - 1] == "\n"
        above = code[code.rfind("\n", 0, max(block - 1, 0)) + 1 : block]
        if whole and line_end and not above.strip() and not code[end:line_end].strip():
            yield Piece(piece.start, line_end, "", piece.reason)
        else:
            yield piece


def _sort_comments(
    code: str, spans: Sequence[tuple[int, int]], comments: bool, docstrings: bool
) -> Iterator[tuple[int, int, str]]:
    for start, end in spans:
        documents = code.startswith(_DOCUMENTS, start) and not code.startswith("/**/", start)
        if docstrings if documents else comments:
            yield start, end, COMMENT


def _widen(code: str, start: int, end: int, reason: str) -> Piece | None:
    """With its line where it is alone on it, or the blanks before it; None inside a line."""
    line_start = code.rfind("\n", 0, start) + 1
    line_end = code.find("\n", end)
    line_end = len(code) if line_end < 0 else line_end
    before, after = code[line_start:start], code[end:line_end]
    if not after.strip():
        if not before.strip():
            return Piece(line_start, min(line_end + 1, len(code)), "", reason)
        return Piece(line_start + len(before.rstrip()), end, "", reason)
    return None if "\n" in code[start:end] else Piece(start, end, "", reason)


def _place(code: str, piece: Piece, offset: int) -> Iterator[Run]:
    start, end = piece.start + offset, piece.end + offset
    gone = Piece(start, end, "", piece.reason)
    around = code[piece.start - 1 : piece.start], code[piece.end : piece.end + 1]
    if all(side and not side.isspace() for side in around):
        yield (gone, Piece(end, end, " ", piece.reason))
    else:
        yield (gone,)
