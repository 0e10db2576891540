"""A radix tree over token prefixes: SGLang.

Every prompt is a path; a read is the longest path that it shares with the tree, in whole pages.
When the tree outgrows its capacity, the least recently used leaves go, one whole leaf at a time.

Source: Zheng et al., "SGLang: Efficient Execution of Structured Language Model Programs" (2024).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from frugalctl.levers.prompt_cache.engine import MatchRules, Outcome, bill_writes, limit_reads
from frugalctl.levers.prompt_cache.hashing import Counts, Hashes
from frugalctl.levers.prompt_cache.prompts import Prompts, chain_blocks

DEFAULT_PAGE_TOKENS = 1


@dataclass(slots=True, eq=False)
class _Node:
    """An edge of the tree with what hangs below it: prefix keys and ends, page by page."""

    keys: Hashes
    ends: Counts
    start: int
    parent: _Node | None
    used: int
    children: dict[int, _Node] = field(default_factory=dict[int, "_Node"])

    @property
    def tokens(self) -> int:
        return int(self.ends[-1]) - self.start


@dataclass(slots=True)
class _Tree:
    root: _Node
    held_tokens: int = 0
    leaves: list[tuple[int, int, _Node]] = field(default_factory=list[tuple[int, int, _Node]])
    serial: count[int] = field(default_factory=count)


def match_radix(prompts: Prompts, rules: MatchRules) -> Outcome:
    """Match by a radix tree."""
    chain = chain_blocks(prompts, rules.unit_tokens or DEFAULT_PAGE_TOKENS)
    none = np.zeros(0, dtype=np.int64)
    tree = _Tree(_Node(none.view(np.uint64), none, 0, None, 0))
    matched = np.zeros(len(prompts), dtype=np.int64)
    for row in range(len(prompts)):
        span = slice(chain.ends[row], chain.ends[row + 1])
        keys, ends = chain.keys[span], chain.tokens[span]
        shared = _insert(tree, keys, ends, row + 1)
        matched[row] = ends[shared - 1] if shared else 0
        _evict(tree, rules.capacity_tokens)
    return bill_writes(prompts, limit_reads(prompts, matched, rules), rules)


def _insert(tree: _Tree, keys: Hashes, ends: Counts, now: int) -> int:
    """Put a prompt into the tree; gives how many of its pages were there."""
    node, at = tree.root, 0
    while at < len(keys):
        child = node.children.get(int(keys[at]))
        if child is None:
            start = int(ends[at - 1]) if at else 0
            leaf = _Node(keys[at:].copy(), ends[at:].copy(), start, node, now)
            node.children[int(keys[at])] = leaf
            tree.held_tokens += leaf.tokens
            _queue(tree, leaf)
            return at
        shared = _count_equal(child.keys, keys[at:])
        if shared < len(child.keys):
            child = _split(child, shared)
        child.used = now
        at += shared
        node = child
        if not node.children:
            _queue(tree, node)
    return at


def _count_equal(one: Hashes, other: Hashes) -> int:
    """How many keys two runs share from the start; beyond it none is equal."""
    most = min(len(one), len(other))
    return int(np.count_nonzero(one[:most] == other[:most]))


def _split(node: _Node, at: int) -> _Node:
    """Cut an edge in two; gives the upper part."""
    upper = _Node(node.keys[:at], node.ends[:at], node.start, node.parent, node.used)
    upper.children[int(node.keys[at])] = node
    assert node.parent is not None
    node.parent.children[int(node.keys[0])] = upper
    node.start = int(node.ends[at - 1])
    node.keys, node.ends, node.parent = node.keys[at:], node.ends[at:], upper
    return upper


def _queue(tree: _Tree, leaf: _Node) -> None:
    heapq.heappush(tree.leaves, (leaf.used, next(tree.serial), leaf))


def _evict(tree: _Tree, capacity_tokens: int | None) -> None:
    """Drop the least recently used leaves until the rest fits."""
    while capacity_tokens is not None and tree.held_tokens > capacity_tokens:
        used, _, leaf = heapq.heappop(tree.leaves)
        if leaf.used != used or leaf.children or leaf.parent is None:
            continue
        parent, leaf.parent = leaf.parent, None
        del parent.children[int(leaf.keys[0])]
        tree.held_tokens -= leaf.tokens
        if not parent.children and parent.parent is not None:
            _queue(tree, parent)
