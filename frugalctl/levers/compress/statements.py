"""Where code may be cut: between statements, never within one.

Python is cut by its own parser. Other languages are cut by marks that most of them share: a
statement begins on a line that is not indented, nor within brackets, a string, a comment or a
here-document, nor goes on from the line before. Decorators, attributes and comments belong to
what stands below them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from frugalctl.levers.compress.comments_python import PYTHON, find_line_starts, parse_python

LONGEST_CLASS = 1200
MAX_CHARS = 200_000
_MOST_NAMES = 50

_CURLY = frozenset(
    "c h cpp c++ cc cxx hpp objc java kotlin kt scala groovy cs csharp c# dart glsl hlsl".split()
)
_SHELL = frozenset("bash sh shell zsh ksh console".split())
_CSS = frozenset("css scss less sass".split())
_SQL = frozenset("sql mysql postgres postgresql plsql tsql sqlite".split())
_YAML = frozenset(("yaml", "yml"))
# Formats whose parts begin with a line of this form, and nowhere else.
_OPENERS = {
    **dict.fromkeys(("toml", "ini", "cfg", "conf", "properties"), re.compile(r"\[")),
    **dict.fromkeys(("diff", "patch"), re.compile(r"diff |@@ |Index: |--- [^\n]*\n\+\+\+ ")),
    **dict.fromkeys(("html", "xml", "svg", "vue", "svelte"), re.compile(r"(?!)")),
}

_CLOSERS = {'"""': '"""', "'''": "'''", "`": "`", "/*": "*/"}
_DEPTHS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}
_MARK = re.compile(
    r"\\[^\n]|\"\"\"|'''|`|\"(?:[^\"\\\n]|\\.)*+\"|'(?:[^'\\\n]|\\.)*+'|//[^\n]*+|/\*|\*/"
    r"|<<[-~<]?[ \t]?(?P<quote>[\"']?)(?P<name>[A-Za-z_]\w{0,40})(?P=quote)"
    r"|#[^\n]*+|[()\[\]{}]|\n"
)
_CONTINUES = re.compile(
    r"[)\]}{]|&&|\|\|?|[?.](?!/)|->"
    r"|(?:else|elif|except|finally|catch|then|do|end|fi|done|esac|where)\b"
)
_CSS_CONTINUES = re.compile(r"[)\]}{]")
_GOES_ON = re.compile(r"(?:[\\,]|(?<![=!<>])=|(?<!\+)\+|&&|\|)[ \t\r]*\Z")
_DECORATES = re.compile(
    r"@[\w.](?!.*;\s*\Z)|#!?\[|\[[\w(][^\]]*\]\s*\Z|template[ \t]*<[^;{]*\Z", re.DOTALL
)
_COMMENTS = re.compile(r"(?://|--|%|#(?!!|[ \t]*(?:include|define|undef|pragma|if|el|endif)\b)|;;)")
_BLOCK_COMMENT = re.compile(r"/\*.*\*/\s*\Z", re.DOTALL)
_ENDS_CURLY = re.compile(r"(?:[;}:]|\*/)[ \t\r]*\Z")
_TAIL_COMMENT = re.compile(r"//[^\n\"']*\Z")
_SHELL_WORD = re.compile(
    r"(?:^|[;&|(][ \t]*|\b(?:then|do|else)[ \t]+)"
    r"(?:(?P<open>if|case|for|while|until|select)|fi|esac|done)\b",
    re.MULTILINE,
)
_MACRO_WORD = re.compile(r"^[ \t]*#[ \t]*(?:(?P<open>ifdef|if)|endif)\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of code, with the comments and decorators above it.

    Attributes:
        start: offset of its first line.
        body: the statements within, where these may be kept or dropped one by one; what stands
            before the first of them then stays with any.
        name: of a class or function that has such a body.
    """

    start: int
    body: tuple[Statement, ...] = ()
    name: str = ""


def cut_statements(
    code: str, language: str, longest_function: int | None = None
) -> list[Statement]:
    """The statements of the outermost level, of long classes and functions those within too.

    Args:
        code: of any language, right or wrong.
        language: in lower case; "" where it is not known.
        longest_function: a Python function of more characters may be cut; None for never.
    """
    if (language in PYTHON or not language) and len(code) <= MAX_CHARS:
        tree = parse_python(code)
        if tree is not None:
            return _cut_python(code, tree, longest_function)
    first = len(code) - len(code.lstrip())
    return [Statement(at) for at in (first, *_cut_by_marks(code, language)) if at < len(code)]


def _cut_python(code: str, tree: ast.Module, longest_function: int | None) -> list[Statement]:
    lines = code.split("\n")
    starts = find_line_starts(code)

    def cut(body: Sequence[ast.stmt], above: int, end: int) -> list[Statement]:
        placed = list(_place(body, lines, above))
        ends = [*(starts[line] for line, _ in placed[1:]), end]
        return [
            cut_within(Statement(starts[line]), node, until)
            for (line, node), until in zip(placed, ends, strict=False)
        ]

    def cut_within(made: Statement, node: ast.stmt, end: int) -> Statement:
        if isinstance(node, ast.ClassDef):
            longest = LONGEST_CLASS
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and longest_function:
            longest = longest_function
        else:
            return made
        if end - made.start <= longest or len(node.body) < 2 or not _is_apart(node, lines):
            return made
        return replace(made, body=tuple(cut(node.body, node.lineno - 1, end)), name=node.name)

    return cut(tree.body, -1, len(code))


def _place(
    body: Sequence[ast.stmt], lines: Sequence[str], above: int
) -> Iterator[tuple[int, ast.stmt]]:
    """Each statement that begins a line, and that line, the comments right above it included."""
    for node in body:
        line = _first_line(node)
        if line > above:
            while line - 1 > above and lines[line - 1].lstrip().startswith("#"):
                line -= 1
            yield line, node
        above = max(above, (node.end_lineno or node.lineno) - 1)


def _is_apart(
    node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, lines: Sequence[str]
) -> bool:
    """Whether the body begins on a line of its own."""
    first = node.body[0]
    before = lines[first.lineno - 1].encode()[: first.col_offset]
    return first.lineno > node.lineno and not before.strip()


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(one.lineno for one in decorators)]) - 1


def _cut_by_marks(code: str, language: str) -> Iterator[int]:
    may_begin = _find_rule(code, language)
    held, words, begun = "", 0, False
    count_words = _find_words(language)
    for start, end in pairwise([*_find_lines(code), len(code)]):
        line = code[start:end]
        if begun and not held and not words and may_begin(start):
            yield start
        begun = begun or bool(line.strip())
        words = max(0, words + count_words(line))
        if not line.strip():
            held = held if held == "decorator" else ""
        elif _DECORATES.match(line):
            held = "decorator"
        elif _COMMENTS.match(line) or _BLOCK_COMMENT.match(line):
            held = held or "comment"
        else:
            held = ""


def _find_lines(code: str) -> Iterator[int]:
    """Where lines begin outside brackets, strings, comments and here-documents."""
    depth, closer, resume = 0, "", 0
    names: list[str] = []
    missing: set[str] = set()
    yield 0
    for match in _MARK.finditer(code):
        mark = match[0]
        if match.start() < resume:
            continue
        if closer:
            closer = "" if mark == closer else closer
        elif mark in _CLOSERS:
            closer = _CLOSERS[mark]
        elif mark == "\n":
            resume, names = _skip_documents(code, match.end(), names, missing), []
            if not depth and resume < len(code):
                yield resume
        elif match["name"]:
            names.append(match["name"])
        else:
            depth = max(0, depth + _DEPTHS.get(mark, 0))


def _skip_documents(code: str, at: int, names: Sequence[str], missing: set[str]) -> int:
    """Past the here-documents that begin at a line, as far as they end."""
    for name in names:
        if name in missing or len(missing) > _MOST_NAMES:
            continue
        found = re.compile(rf"^[ \t]*{name}[;)]?[ \t\r]*(?:\n|\Z)", re.MULTILINE).search(code, at)
        if found:
            at = found.end()
        else:
            missing.add(name)
    return at


def _find_rule(code: str, language: str) -> Callable[[int], bool]:
    """Whether a statement may begin at the start of a line."""
    opener = _OPENERS.get(language)
    if opener is not None:
        return lambda at: bool(opener.match(code, at))
    if language in _SQL:
        return lambda at: not code[at].isspace() and _before(code, at).endswith(";")
    listed = code.lstrip().startswith("-")
    continues = _CSS_CONTINUES if language in _CSS else _CONTINUES

    def may_begin(at: int) -> bool:
        if code[at].isspace() or continues.match(code, at):
            return False
        if language in _YAML:
            return listed or code[at] != "-"
        line = _last_line(code, at)
        if language in _CURLY and line.strip() and not line.lstrip().startswith("#"):
            return bool(_ENDS_CURLY.search(_TAIL_COMMENT.sub("", line)))
        return not _GOES_ON.search(_TAIL_COMMENT.sub("", line))

    return may_begin


def _find_words(language: str) -> Callable[[str], int]:
    """How many more blocks a line opens by words than it closes."""
    word = _SHELL_WORD if language in _SHELL else _MACRO_WORD if language in _CURLY else None
    if word is None:
        return lambda line: 0
    return lambda line: sum(1 if found["open"] else -1 for found in word.finditer(line))


def _before(code: str, at: int) -> str:
    """The last lines before one, without comments that end them; a bounded number of characters."""
    lines = code[max(0, at - 400) : at].splitlines()
    bare = [line.split("--", 1)[0].rstrip() for line in lines]
    return next((line for line in reversed(bare) if line), "")


def _last_line(code: str, at: int) -> str:
    return code[max(code.rfind("\n", 0, at - 1) + 1, at - 400) : at - 1]
