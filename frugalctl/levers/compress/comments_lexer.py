"""Where the comments of other languages stand, by their lexer in Pygments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, cast

# Languages whose lexers we have tested. JSX is not among them: they take `//` in its text for a
# comment.
LANGUAGES = {
    "bash": "bash", "sh": "bash", "shell": "bash", "zsh": "bash", "c": "c", "h": "c",
    "cpp": "cpp", "c++": "cpp", "cc": "cpp", "hpp": "cpp", "csharp": "csharp", "cs": "csharp",
    "c#": "csharp", "css": "css", "go": "go", "golang": "go", "java": "java",
    "javascript": "javascript", "js": "javascript", "kotlin": "kotlin", "kt": "kotlin",
    "lua": "lua", "php": "php", "r": "r", "ruby": "ruby", "rb": "ruby", "rust": "rust",
    "rs": "rust", "scala": "scala", "sql": "sql", "swift": "swift", "toml": "toml",
    "ts": "typescript", "typescript": "typescript", "yaml": "yaml", "yml": "yaml",
}  # fmt: skip

_MARKUP = re.compile(r"</[A-Za-z>]|/>")
_MAX_HEREDOCS = 100


def find_by_lexer(code: str, language: str) -> list[tuple[int, int]]:
    """The bounds of the comments; none where the lexer meets something that it does not know.

    Args:
        code: the source text.
        language: one of `LANGUAGES`.
    """
    name = LANGUAGES[language]
    if not _is_readable(code, name):
        return []
    # Slow to import, and needed for few prompts.
    from pygments import lexers
    from pygments.token import Comment, Error

    options: dict[str, Any] = {"startinline": "<?" not in code} if name == "php" else {}
    load: Any = cast(Any, lexers).get_lexer_by_name
    lexer = load(name, **options)
    tokens = list(lexer.get_tokens_unprocessed(code))
    if any(kind in Error for _, kind, _ in tokens):
        return []
    machine = (Comment.Preproc, Comment.PreprocFile, Comment.Hashbang)
    comments = (
        (at, at + len(value))
        for at, kind, value in tokens
        if kind in Comment and not any(kind in each for each in machine)
    )
    return list(_tidy(code, _join(code, comments)))


def _is_readable(code: str, name: str) -> bool:
    if name in ("javascript", "typescript"):
        return not _MARKUP.search(code)
    if name == "go":
        return 'import "C"' not in code
    # The lexer looks for the end of each heredoc anew.
    return name not in ("bash", "ruby", "php") or code.count("<<") <= _MAX_HEREDOCS


def _join(code: str, spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """One span a comment: lexers cut long ones, but one of a line ends with its line."""
    begin = end = -1
    for start, after in spans:
        if start == end and code[start - 1] != "\n":
            end = after
            continue
        if begin >= 0:
            yield begin, end
        begin, end = start, after
    if begin >= 0:
        yield begin, end


def _tidy(code: str, spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for start, end in spans:
        text = code[start:end]
        start, end = end - len(text.lstrip()), start + len(text.rstrip())
        # `http://` outside of a string is no comment, whatever the lexer says.
        if start < end and not (code[start - 1 : start] == ":" and code.startswith("//", start)):
            yield start, end
