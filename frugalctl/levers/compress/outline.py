"""Which segments of a part hang together: documents, fences, and what a line leads to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from frugalctl.levers.compress.fences import find_fenced, is_marker
from frugalctl.levers.compress.labels import find_label, find_lead
from frugalctl.levers.compress.pieces import Kind, Segment
from frugalctl.levers.compress.segments_words import RULE

_OPEN_KINDS: tuple[Kind, ...] = ("prose", "document")
_SAID_KINDS: tuple[Kind, ...] = (*_OPEN_KINDS, "instruction", "question", "tool_call")


@dataclass(slots=True)
class Place:
    """Where a segment stands. A scope is a number; a frame stays while a unit of its scope does.

    Attributes:
        block: of documents, paragraphs and other segments that are scored as one.
        scopes: of what its units keep alive around them, besides the block.
        is_fence: whether it is a line that opens or closes a fence.
        marker: the scope of one within an exemplar, with which it goes; else -1.
        label_end: where the label that it begins with ends; 0 where there is none.
        label_scope: of that label.
        title: of its document.
        lead: where the line begins that leads to the next segment; -1 where there is none.
        lead_scope: of that line.
    """

    block: int
    scopes: list[int] = field(default_factory=list[int])
    is_fence: bool = False
    marker: int = -1
    label_end: int = 0
    label_scope: int = -1
    title: str = ""
    lead: int = -1
    lead_scope: int = -1


def place_segments(text: str, segments: Sequence[Segment], numbers: Iterator[int]) -> list[Place]:
    """The place of each segment.

    Args:
        text: of the part.
        segments: covering it.
        numbers: of blocks and scopes, none of which came before.
    """
    places: list[Place] = []
    before: Segment | None = None
    groups: dict[int, int] = {}
    for segment in segments:
        together = before is not None and _belong_together(before, segment)
        place = Place(places[-1].block if together else next(numbers), title=segment.title)
        if segment.group >= 0:
            if segment.group not in groups:
                groups[segment.group] = next(numbers)
            place.scopes.append(groups[segment.group])
        places.append(place)
        before = segment
    _place_fences(text, segments, places)
    _place_labels(text, segments, places)
    _place_leads(text, segments, places, numbers)
    return places


def _belong_together(before: Segment, after: Segment) -> bool:
    return after.group >= 0 and (before.group, before.kind) == (after.group, after.kind)


def _place_fences(text: str, segments: Sequence[Segment], places: Sequence[Place]) -> None:
    for at, segment in enumerate(segments):
        places[at].is_fence = is_marker(text, segment)
    for fenced in find_fenced(text, segments):
        for at in fenced.markers:
            places[at].marker = places[fenced.markers[0]].block


def _place_labels(text: str, segments: Sequence[Segment], places: Sequence[Place]) -> None:
    """Labels of documents; one with nothing below goes with the document that follows."""
    carried: list[int] = []
    named = -1
    for at, (segment, place) in enumerate(zip(segments, places, strict=True)):
        if segment.kind != "document" or segment.locked or segment.group == named >= 0:
            continue
        named = segment.group
        place.scopes += carried
        carried = []
        after = segments[at + 1] if at + 1 < len(segments) else None
        follows = after is not None and _goes_on(text, segment, after)
        start = segment.start + _count_space(text, segment)
        end, title = find_label(text, start, segment.end, segment.title, not follows)
        place.label_end, place.title = end, title or place.title
        place.label_scope = place.scopes[0] if segment.group >= 0 else place.block
        if end == segment.end and after is not None and after.group != segment.group:
            carried = [place.label_scope]


def _goes_on(text: str, segment: Segment, after: Segment) -> bool:
    """Whether what follows a label may be of its document: more of it, or what a rule opens."""
    if after.group == segment.group >= 0:
        return True
    head = text[after.start : after.start + 80].lstrip().split("\n", 1)[0]
    return after.kind == "document" and bool(RULE.match(head))


def _place_leads(
    text: str, segments: Sequence[Segment], places: Sequence[Place], numbers: Iterator[int]
) -> None:
    for at in range(len(segments) - 1):
        segment, after = segments[at], segments[at + 1]
        if segment.kind not in _OPEN_KINDS or segment.locked:
            continue
        if after.kind in _SAID_KINDS or (after.locked and not places[at + 1].is_fence):
            continue
        lead = find_lead(text, segment.start, segment.end)
        if lead == segment.end:
            continue
        places[at].lead, places[at].lead_scope = lead, next(numbers)
        for place in places[at + 1 : _find_led(segments, places, at + 1)]:
            place.scopes.append(places[at].lead_scope)


def _find_led(segments: Sequence[Segment], places: Sequence[Place], at: int) -> int:
    """The index after what a line leads to: all exemplars in a row, a fence, or one segment."""
    if segments[at].kind == "exemplar":
        while at < len(segments) and segments[at].kind == "exemplar":
            at += 1
        return at
    return at + 2 if places[at].is_fence else at + 1


def _count_space(text: str, segment: Segment) -> int:
    body = text[segment.start : segment.end]
    return len(body) - len(body.lstrip())
