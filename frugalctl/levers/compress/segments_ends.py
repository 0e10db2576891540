"""The instruction at the head of a prompt and the question at its end, where nothing names them."""

from __future__ import annotations

import re
from dataclasses import replace

from frugalctl.levers.compress.pieces import Kind, Segment
from frugalctl.levers.compress.segments_blocks import Block
from frugalctl.levers.compress.segments_words import BULLET, RULES_FOLLOW, is_order, is_question

# A longer paragraph holds more than the order or the question: only one sentence of it is locked.
_MAX_LOCKED_CHARS = 1500
_MAX_SENTENCE_CHARS = 600
_SENTENCE_END = re.compile(r"[.!?:。！？：](?=\s)|[。！？]|\n")
_OPEN_TEXT = ("prose", "document", "exemplar")


def lock_ends(
    text: str, blocks: list[Block], segments: list[Segment], *, head: bool, tail: bool
) -> None:
    """Lock the head and the tail of segments that are, so far, one a block.

    A paragraph that is too long to be an order or a question is cut in two, so that there may be
    a segment more at either end.
    """
    end = _lock_tail(text, blocks, segments) if tail else len(blocks)
    if head:
        _lock_head(text, blocks, segments, end)
    if tail and blocks:
        _cut_tail(text, blocks[-1], segments)
    if head and blocks:
        _cut_head(text, blocks[0], segments)


def _lock_tail(text: str, blocks: list[Block], segments: list[Segment]) -> int:
    """Lock the question that ends the text; the index of its first block, or of none."""
    last = len(blocks) - 1
    while last >= 0 and text[blocks[last].start : blocks[last].end].isspace():
        last -= 1
    if last < 0:
        return len(blocks)
    first = _first_of_open_question(blocks, segments, last)
    if first is not None:
        for at in range(first, len(blocks)):
            segments[at] = _lock(segments[at], "question")
        return first
    if _is_free(blocks[last], segments[last]):
        words = text[blocks[last].start : blocks[last].end]
        if len(words) <= _MAX_LOCKED_CHARS and (is_question(words) or is_order(words)):
            segments[last] = _lock(segments[last], "question")
            return last
    return len(blocks)


def _first_of_open_question(blocks: list[Block], segments: list[Segment], last: int) -> int | None:
    """The first block of a "Q:" that nothing answers, with the "A:" that waits for the model."""
    if segments[last].kind != "exemplar":
        return None
    group = segments[last].group
    at = last
    while at >= 0 and segments[at].group == group and segments[at].kind == "exemplar":
        if blocks[at].label == "reply" and blocks[at].title:
            return None
        if blocks[at].label == "ask":
            return at
        at -= 1
    return None


def _lock_head(text: str, blocks: list[Block], segments: list[Segment], tail: int) -> None:
    """Lock the paragraphs of orders that the text begins with."""
    at = 0
    rules = False
    while at < tail:
        block, segment = blocks[at], segments[at]
        words = text[block.start : min(block.end, block.start + _MAX_LOCKED_CHARS + 1)]
        heading = block.label == "heading" and at == 0
        if heading and at + 1 < tail and not segment.locked:
            following = text[blocks[at + 1].start : blocks[at + 1].end][:_MAX_LOCKED_CHARS]
            if blocks[at + 1].label or not is_order(following):
                return
        elif segment.locked:
            at += 1
            continue
        elif not _is_free(block, segment) or len(words) > _MAX_LOCKED_CHARS:
            return
        elif not (is_order(words) or (rules and BULLET.match(words.lstrip("\r\n")))):
            return
        segments[at] = _lock(segment, "instruction")
        rules = bool(RULES_FOLLOW.search(words[-200:])) or (rules and not heading)
        at += 1


def _cut_tail(text: str, block: Block, segments: list[Segment]) -> None:
    """Lock the last sentence of a paragraph that ends the text by asking."""
    end = segments[-1]
    if _is_free(block, end, labelled=True) and (cut := _question_start(text, end)):
        segments[-1:] = [replace(end, end=cut), replace(_lock(end, "question"), start=cut)]


def _cut_head(text: str, block: Block, segments: list[Segment]) -> None:
    """Lock the first sentence of a paragraph that begins the text by giving an order."""
    head = segments[0]
    if _is_free(block, head) and (cut := _order_end(text, head)):
        segments[:1] = [replace(_lock(head, "instruction"), end=cut), replace(head, start=cut)]


def _question_start(text: str, segment: Segment) -> int | None:
    """Where the last sentence begins, if it asks and is not the whole."""
    start = max(segment.start, segment.end - _MAX_SENTENCE_CHARS)
    words = text[start : segment.end].rstrip()
    if not is_question(words):
        return None
    ends = [found.end() for found in _SENTENCE_END.finditer(words, 0, max(0, len(words) - 1))]
    cut = start + ends[-1] if ends else segment.start
    return cut if cut > segment.start else None


def _order_end(text: str, segment: Segment) -> int | None:
    """Where the first sentence ends, if it gives an order and is not the whole."""
    words = text[segment.start : min(segment.end, segment.start + _MAX_SENTENCE_CHARS)]
    lead = len(words) - len(words.lstrip())
    found = _SENTENCE_END.search(words, lead)
    if not found or not is_order(words[: found.end()]):
        return None
    cut = segment.start + found.end()
    return cut if cut < segment.end else None


def _is_free(block: Block, segment: Segment, labelled: bool = False) -> bool:
    """Whether a block is plain text that nothing has locked or labelled."""
    label = block.label == "" or (labelled and block.label == "document")
    return not segment.locked and label and segment.kind in _OPEN_TEXT


def _lock(segment: Segment, kind: Kind) -> Segment:
    """The segment, locked; code and data keep their kind."""
    changed = kind if segment.kind in _OPEN_TEXT else segment.kind
    return replace(segment, kind=changed, locked=True, group=-1, title="")
