"""Token counts by model family, offline."""

from frugalctl.tokens.count import (
    count_each,
    count_json,
    count_messages,
    count_text,
    encode_text,
)
from frugalctl.tokens.families import encoding_name, is_exact

__all__ = [
    "count_each",
    "count_json",
    "count_messages",
    "count_text",
    "encode_text",
    "encoding_name",
    "is_exact",
]
