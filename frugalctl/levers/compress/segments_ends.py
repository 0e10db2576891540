"""The instruction at the head of a prompt and the question at its end, where nothing names them."""

from __future__ import annotations

import re
from dataclasses import replace

from frugalctl.levers.compress.pieces import Kind, Segment
from frugalctl.levers.compress.segments_blocks import Block
from frugalctl.levers.compress.segments_orders import gives_orders, is_closing, leads_in
from frugalctl.levers.compress.segments_words import RULES_FOLLOW, is_order, is_question

# A longer paragraph holds more than the order or the question: only one sentence of it is locked.
_MAX_LOCKED_CHARS = 1500
_MAX_SENTENCE_CHARS = 600
_SENTENCE_END = re.compile(r"[.!?:。！？：](?=\s)|[。！？]|\n")
_MAX_TAIL_BLOCKS = 6
_GOES_ON = re.compile(r"[ \t]{0,8}(?:[-*+•]|\d{1,3}[.)])[ \t]|[ \t]{2,}\S")
_CUE = re.compile(r"(?:^|\n)[ \t]*(?:\*\*)?[^\W\d][\w \-]{0,30}(?:\*\*)?[:：](?:\*\*)?\Z")
_LABEL = re.compile(r"(?:\*\*)?[^\W\d][\w \-]{0,30}(?:\*\*)?[:：]")
_END_TAG = re.compile(r"\s*</[\w\-]{1,40}>\s*\Z")
_NAMES_DATA = ("document", "heading", "open", "shot", "ask")
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
    """Lock the question that ends the text; the index of its first block, or of none.

    A word of thanks may follow it, and orders may stand beside it.
    """
    end = len(blocks) - 1
    while end >= 0 and text[blocks[end].start : blocks[end].end].isspace():
        end -= 1
    while end > 0 and is_closing(_read(text, blocks[end])) and _is_free(blocks[end], segments[end]):
        end -= 1
    if end < 0:
        return len(blocks)
    first = _first_of_open_question(blocks, segments, end)
    if first is None:
        first = _first_of_open_shot(text, blocks, segments, end)
    if first is None:
        first = _first_of_asking(text, blocks, segments, end)
    if first is None:
        _name_locked_question(text, blocks[end], segments, end)
        return len(blocks)
    _name_tail(text, blocks, segments, first)
    return first


def _name_tail(text: str, blocks: list[Block], segments: list[Segment], first: int) -> None:
    """Lock what ends the text: what asks is the question, the orders beside it are not."""
    words = [_read(text, block) for block in blocks[first:]]
    asks = [bool(block.label) for block in blocks[first:]]
    asks = [label or is_question(one) for label, one in zip(asks, words, strict=True)]
    for at, one in enumerate(words):
        ordered = is_closing(one) or (not asks[at] and gives_orders(one))
        ordered = ordered and (any(asks) or not is_order(one))
        segments[first + at] = _lock(segments[first + at], "instruction" if ordered else "question")


def _first_of_asking(
    text: str, blocks: list[Block], segments: list[Segment], last: int
) -> int | None:
    """The first of the last paragraphs that ask or give orders, None if the last does neither."""
    first = None
    chars = 0
    for at in range(last, max(-1, last - _MAX_TAIL_BLOCKS), -1):
        words = _read(text, blocks[at])
        chars += len(words)
        if not _is_free(blocks[at], segments[at]) or chars > _MAX_LOCKED_CHARS:
            break
        leads = first == at + 1 and leads_in(words) and not _ends_blank(text, blocks[at])
        if not (is_question(words) or leads or (gives_orders(words) if at else is_order(words))):
            break
        if first is not None and at == 0:
            break
        first = at
    return _first_after_data(text, blocks, segments, last) if first is None else first


def _first_after_data(
    text: str, blocks: list[Block], segments: list[Segment], last: int
) -> int | None:
    """A last paragraph behind orders and data, and apart from them: it is what they are for."""
    if last < 2 or not _is_free(blocks[last], segments[last]):
        return None
    before = blocks[last - 1]
    apart = before.label == "close" or bool(before.closes)
    apart = apart or (before.kind not in _OPEN_TEXT and _ends_blank(text, before))
    short = blocks[last].end - blocks[last].start <= _MAX_LOCKED_CHARS
    return last if apart and short and gives_orders(_read(text, blocks[0])) else None


def _name_locked_question(text: str, block: Block, segments: list[Segment], last: int) -> None:
    """Locked by a heading or a tag of instructions, and yet it asks."""
    words = _END_TAG.sub("", text[max(block.start, block.end - _MAX_SENTENCE_CHARS) : block.end])
    if segments[last].kind == "instruction" and segments[last].locked and is_question(words):
        segments[last] = replace(segments[last], kind="question")


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


def _first_of_open_shot(
    text: str, blocks: list[Block], segments: list[Segment], last: int
) -> int | None:
    """The first block of a last example that ends in a bare label, which waits for the model."""
    words = _read(text, blocks[last]).rstrip()
    cue = _CUE.search(words) if len(words) < _MAX_LOCKED_CHARS else None
    if not cue or not _is_free(blocks[last], segments[last], labels=("", "reply", "ask")):
        return None
    if cue.start() > 0:
        return last
    for at in range(last - 1, max(-1, last - _MAX_TAIL_BLOCKS), -1):
        if not _is_free(blocks[at], segments[at], labels=("", "reply", "ask")):
            return None
        if _LABEL.match(_read(text, blocks[at]).lstrip()):
            return at
    return None


def _lock_head(text: str, blocks: list[Block], segments: list[Segment], tail: int) -> None:
    """Lock the paragraphs of orders that the text begins with.

    Where documents follow that are named as such, all before them is locked.
    """
    first = int(_lock_title(text, blocks, segments, tail))
    if tail and not segments[0].locked and blocks[0].label == "heading":
        return
    data = _find_data(blocks, segments, tail)
    whole = _is_head(text, blocks, segments, data, tail)
    rules = False
    for at in range(first, data):
        words = _read(text, blocks[at])
        if segments[at].locked or blocks[at].label == "rule":
            rules = rules or bool(RULES_FOLLOW.search(words[-200:]))
            continue
        if not _is_free(blocks[at], segments[at]) or len(words) > _MAX_LOCKED_CHARS:
            return
        goes_on = rules and _GOES_ON.match(words.lstrip("\r\n"))
        if not (whole or goes_on or gives_orders(words) or leads_in(words)):
            return
        segments[at] = _lock(segments[at], "instruction")
        rules = rules or bool(RULES_FOLLOW.search(words[-200:]))


def _lock_title(text: str, blocks: list[Block], segments: list[Segment], tail: int) -> bool:
    """Lock a heading that the text begins with, where orders follow it."""
    if tail < 2 or blocks[0].label != "heading" or segments[0].locked:
        return False
    if blocks[1].label or not gives_orders(_read(text, blocks[1])):
        return False
    segments[0] = _lock(segments[0], "instruction")
    return True


def _find_data(blocks: list[Block], segments: list[Segment], tail: int) -> int:
    """The first block that holds no words of the author: data, or what a label opens."""
    for at in range(1, tail):
        label = blocks[at].label
        if not segments[at].locked and label != "rule" and (label or blocks[at].kind != "prose"):
            return at
    return tail


def _is_head(text: str, blocks: list[Block], segments: list[Segment], data: int, tail: int) -> bool:
    """Whether all before the data is an instruction: it is short, or has orders and is no article.

    Args:
        text: the whole.
        blocks: of it.
        segments: one a block.
        data: the index of the first block of data.
        tail: that of the question.
    """
    if data == tail or blocks[data].label not in _NAMES_DATA:
        return False
    chars = blocks[data].start - blocks[0].start
    if chars <= _MAX_SENTENCE_CHARS:
        return True
    if chars > (blocks[tail - 1].end - blocks[0].start) // 2:
        return False
    words = [_read(text, block) for block in blocks[:data]]
    return any(gives_orders(one) or leads_in(one) for one in words)


def _cut_tail(text: str, block: Block, segments: list[Segment]) -> None:
    """Lock the last sentence of a paragraph that ends the text by asking."""
    end = segments[-1]
    if _is_free(block, end, labels=("", "document")) and (cut := _question_start(text, end)):
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


def _is_free(block: Block, segment: Segment, labels: tuple[str, ...] = ("",)) -> bool:
    """Whether a block is plain text that nothing has locked, or labelled otherwise."""
    return not segment.locked and block.label in labels and segment.kind in _OPEN_TEXT


def _ends_blank(text: str, block: Block) -> bool:
    """Whether a blank line follows it."""
    end = text[max(block.start, block.end - 8) : block.end]
    return end.count("\n", len(end.rstrip())) > 1


def _read(text: str, block: Block) -> str:
    """Its text; of a long one, its beginning."""
    return text[block.start : min(block.end, block.start + _MAX_LOCKED_CHARS + 1)]


def _lock(segment: Segment, kind: Kind) -> Segment:
    """The segment, locked; code and data keep their kind."""
    changed = kind if segment.kind in _OPEN_TEXT else segment.kind
    return replace(segment, kind=changed, locked=True, group=-1, title="")
