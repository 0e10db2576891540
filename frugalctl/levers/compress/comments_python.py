"""Where the comments and docstrings of Python code stand."""

from __future__ import annotations

import ast
import io
import tokenize
import warnings
from itertools import accumulate

PYTHON = frozenset({"python", "py", "python3", "pyi"})


def find_python_comments(code: str) -> list[tuple[int, int]]:
    """The bounds of the comments, by Python's own tokenizer; none where it is not valid Python."""
    if parse_python(code) is None:
        return []
    starts = find_line_starts(code)
    lines = io.StringIO(code, newline="").readline
    try:
        tokens = [t for t in tokenize.generate_tokens(lines) if t.type == tokenize.COMMENT]
    except (tokenize.TokenError, SyntaxError):
        return []
    return [
        (starts[token.start[0] - 1] + token.start[1], starts[token.end[0] - 1] + token.end[1])
        for token in tokens
    ]


def find_docstrings(code: str) -> list[tuple[int, int]]:
    """The bounds of the docstrings that are not alone in their body and share no line."""
    tree = parse_python(code)
    if tree is None:
        return []
    starts = find_line_starts(code)
    lines = code.split("\n")
    found: list[tuple[int, int]] = []
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        first = node.body[0] if len(node.body) > 1 else None
        if not isinstance(first, ast.Expr) or not isinstance(first.value, ast.Constant):
            continue
        if not isinstance(first.value.value, str):
            continue
        begin, end = first.lineno - 1, (first.end_lineno or first.lineno) - 1
        # The parser counts bytes.
        column = len(lines[begin].encode()[: first.col_offset].decode())
        end_column = len(lines[end].encode()[: first.end_col_offset].decode())
        if not lines[begin][:column].strip() and not lines[end][end_column:].strip():
            found.append((starts[begin] + column, starts[end] + end_column))
    return found


def parse_python(code: str) -> ast.Module | None:
    """The tree; None where it is not valid Python, or has line ends of an unusual kind."""
    # Line ends that Python and we would count in different ways.
    if "\f" in code or "\r" in code.replace("\r\n", "\n"):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def find_line_starts(code: str) -> list[int]:
    """Offsets of the first characters of its lines, and of the end."""
    return list(accumulate((len(line) + 1 for line in code.split("\n")), initial=0))
