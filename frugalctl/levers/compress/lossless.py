"""The lossless tier: the same content in fewer tokens."""

from __future__ import annotations

from collections.abc import Sequence

from frugalctl.levers.compress.lossless_json import find_json_runs
from frugalctl.levers.compress.lossless_repeats import find_repeat_runs
from frugalctl.levers.compress.lossless_text import (
    find_escape_runs,
    find_padding_runs,
    find_whitespace_runs,
)
from frugalctl.levers.compress.pieces import Part, Piece
from frugalctl.levers.compress.runs import overlay
from frugalctl.levers.compress.settings import CompressSettings


def apply(part: Part, pieces: Sequence[Piece], settings: CompressSettings) -> list[Piece]:
    """The pieces without what says nothing; each step has its switch in the settings.

    JSON re-parses to equal values, code is untouched but for trailing spaces, and Markdown
    renders the same but for hard breaks made by trailing spaces. A repeated block is the one
    exception: the model reads a reference in its place. Locked segments and protected spans stay
    as they are. Applied to its own output it changes nothing.

    Args:
        part: the original.
        pieces: covering it, in the order of the text.
        settings: `json`, `tables`, `whitespace`, `escapes`, `repeats`.
    """
    steps = (
        (settings.json, find_json_runs),
        (settings.tables, find_padding_runs),
        (settings.whitespace, find_whitespace_runs),
        (settings.escapes, find_escape_runs),
        (settings.repeats, find_repeat_runs),
    )
    out = list(pieces)
    for switch, find_runs in steps:
        if switch:
            out = overlay(part, out, find_runs(part))
    return out
