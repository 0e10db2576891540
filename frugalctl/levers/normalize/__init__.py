"""Keys of texts: a safe one by default, and lossy steps that a user may ask for.

The safe key only drops what cannot change a request: Unicode composition, white space, case, and
the punctuation at the end. The steps reduce further, so equal reductions only propose that two
texts may ask the same.
"""

from __future__ import annotations

from frugalctl.levers.normalize.meetings import Meetings, measure_meetings
from frugalctl.levers.normalize.normalizer import TextNormalizer, make_normalizer
from frugalctl.levers.normalize.settings import (
    STEPS,
    NormalizeSettings,
    parse_normalize_table,
)

__all__ = [
    "STEPS",
    "Meetings",
    "NormalizeSettings",
    "TextNormalizer",
    "make_normalizer",
    "measure_meetings",
    "parse_normalize_table",
]
