"""The structural tier: the same facts in a form that takes fewer tokens."""

from __future__ import annotations

from collections.abc import Sequence

from frugalctl.levers.compress.pieces import Part, Piece
from frugalctl.levers.compress.runs import overlay
from frugalctl.levers.compress.settings import CompressSettings
from frugalctl.levers.compress.structural_comments import find_comment_runs
from frugalctl.levers.compress.structural_html import find_html_runs
from frugalctl.levers.compress.structural_logs import find_log_runs
from frugalctl.levers.compress.structural_records import find_record_runs


def apply(part: Part, pieces: Sequence[Piece], settings: CompressSettings) -> list[Piece]:
    """The pieces in a shorter form; each step has its switch in the settings.

    Records of JSON become the rows of a table that `structural_records.read_table` reads back,
    HTML becomes text, comments of code go (pragmas and copyright notices stay), and log lines of
    one template become its first line and the values of the others. Locked segments and protected
    spans stay as they are, and no segment is ever emptied.

    Args:
        part: the original.
        pieces: covering it, in the order of the text, as the lossless tier leaves them.
        settings: `records`, `html`, `comments` and `docstrings`, `logs`.
    """
    out = list(pieces)
    if settings.records:
        out = overlay(part, out, find_record_runs(part))
    if settings.html:
        out = overlay(part, out, find_html_runs(part))
    if settings.comments or settings.docstrings:
        out = overlay(part, out, find_comment_runs(part, settings.comments, settings.docstrings))
    if settings.logs:
        out = overlay(part, out, find_log_runs(part))
    return out
