"""The index of a semantic cache: a folder that is replaced as a whole, and read without a lock."""

from frugalctl.levers.semantic_cache.index.change import (
    Added,
    Pruned,
    add_entries,
    build_index,
    prune_index,
)
from frugalctl.levers.semantic_cache.index.entries import ENTRY_SCHEMA, INPUT_SCHEMA
from frugalctl.levers.semantic_cache.index.export import EXPORTS, export_index
from frugalctl.levers.semantic_cache.index.index import Index, open_index
from frugalctl.levers.semantic_cache.index.manifest import IndexSettings, Manifest
from frugalctl.levers.semantic_cache.index.search import find_nearest
from frugalctl.levers.semantic_cache.index.usage import record_hits
from frugalctl.levers.semantic_cache.index.writer import IndexWriter

__all__ = [
    "ENTRY_SCHEMA",
    "EXPORTS",
    "INPUT_SCHEMA",
    "Added",
    "Index",
    "IndexSettings",
    "IndexWriter",
    "Manifest",
    "Pruned",
    "add_entries",
    "build_index",
    "export_index",
    "find_nearest",
    "open_index",
    "prune_index",
    "record_hits",
]
