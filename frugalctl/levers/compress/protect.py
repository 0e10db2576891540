"""Protected spans: what has to come out of a compression as it went in.

There are two classes. Spans that are **always** there (placeholders, tags, the markers of code
fences, what the user's own expressions match) can neither be altered nor dropped: the sentence
around them stays. Spans that stay **intact** (URLs, e-mail addresses, numbers with their signs,
units, currencies, dates and versions) are never altered or cut in two, but they may go together
with the whole sentence, row or document that they stand in; the manifest lists what went.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import groupby
from operator import itemgetter
from typing import Any

from frugalctl.errors import ConfigError, FrugalError
from frugalctl.levers.compress.fences import find_emptied
from frugalctl.levers.compress.pieces import Part, Piece, Segment, Span
from frugalctl.levers.compress.segments import MARKUP, is_markup

ALWAYS = frozenset({"placeholder", "tag", "fence", "pattern"})
MATCH_SECONDS = 5

INTACT = frozenset({"url", "email", "number"})

# Every repeat is bounded or of characters that what follows it cannot match: linear time.
_PLACEHOLDER = re.compile(
    r"\{\{[^{}\n]{1,200}\}\}|\{%[^{}\n]{1,200}%\}|\$?\{ ?\w[\w .:!\-\[\]]{0,80}\}"
)
_SHELL = re.compile(r"\$\{[^{}\n]{1,200}\}")
_PRINTF = re.compile(r"%\([^\W\d]\w{0,80}\)[#0\- +]?\d{0,3}(?:\.\d{1,3})?[a-zA-Z]")
_TAG = re.compile(r"</?[^\W\d][\w.:\-]{0,80}(?:\s[^<>]{0,400})?/?>")
_FENCE = re.compile(r"^[ \t>]{0,12}(?:`{3,}|~{3,})[^\r\n]*", re.MULTILINE)
_URL = re.compile(r"(?:https?|ftps?|wss?|file|s3|gs)://[A-Za-z0-9\-._~:/?#\[\]@!$&()*+,;=%{}]+")
_WWW = re.compile(r"www\.[A-Za-z0-9\-._~:/?#@!$&()*+,;=%{}]+")
_LOCAL = re.compile(r"[A-Za-z0-9._%+\-]{1,64}\Z")
_DOMAIN = re.compile(r"[A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{1,63}){1,8}")
_UNITS = (
    r"%|‰|°[CFK]?|[kMGTP]i?[Bb](?:it/s|ps|/s)?|[kcmµμn]?m[²³23]?|k?m/h|mph|[kmµμ]?g|mg|lbs?|oz"
    r"|[mµμn]?s(?:ec)?|min|hrs?|h|d|[kMG]?Hz|[kM]?Wh?|[mk]?V|[mk]?A|[kmM]?[lL]|ml|Pa|bar|px|pt|em"
    r"|K|M|B|k|x|bn|mn|million|billion|trillion|thousand|dollars|euros|USD|EUR|GBP|KRW|JPY|CNY"
    r"|years?|months?|weeks?|days?|hours?|minutes?|seconds?|[ap]\.?m\.?|[AP]M|st|nd|rd|th|tokens?"
)
_NUMBER = re.compile(
    r"\d+(?:[.,:/\-]\d+)*(?:T\d\d(?::\d\d){1,2}(?:\.\d{1,9})?)?(?:Z\b|[+\-]\d\d:\d\d)?"
    r"(?:[eE][+\-]?\d{1,4}\b)?(?:-(?:rc|alpha|beta|a|b|dev)\.?\d{0,4}\b)?"
    rf"(?:[ \u00a0]?(?:{_UNITS})(?![A-Za-z])"
    r"|[만억조천]{0,2} ?(?:원|달러|유로)|[년월일시분초개명살회층위만억조천])?"
)
# Digits within an escape such as "\uac00" are no number; what follows the escape may be one.
_HEX = "[0-9a-fA-F]"
_OUTSIDE_ESCAPE = "".join(rf"(?<!(?<!\\)\\u(?={_HEX}{{4}}){_HEX}{{{count}}})" for count in range(4))
_NUMBER_AMONG_ESCAPES = re.compile(_OUTSIDE_ESCAPE + _NUMBER.pattern)
_DATE = re.compile(
    r"\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.? \d{1,2}(?:st|nd|rd|th)?"
    r"(?:,? \d{4})?\b"
)
_BEFORE_NUMBER = "$€£¥₩₹+-−~≈≤≥<>v"


def find_protected(
    text: str, patterns: Sequence[str] = (), segments: Sequence[Segment] = ()
) -> tuple[Span, ...]:
    """The protected spans of a text, sorted and without overlap.

    Where spans overlap they become one, with the reason of the stronger class. In segments of
    HTML only placeholders and the user's patterns count, since its tags, links and sizes are
    markup; in code a `<tag>` is more likely an operator or a type and is not protected.

    Args:
        text: what is searched.
        patterns: the user's regular expressions.
        segments: of the text, as `parse_segments` cuts it; without them all is taken as prose.

    Raises:
        ConfigError: a pattern is not a regular expression.
    """
    spans = [
        *_find_user_spans(text, patterns),
        *_find_placeholders(text),
        *_outside(_find_tags(text), segments, ("html", "code")),
        *_outside(_find_intact(text), segments, ("html",)),
    ]
    return tuple(_cut_out(_merge(spans), [item for item in segments if is_markup(item)]))


def compile_patterns(patterns: Sequence[str]) -> list[Any]:
    """The user's expressions, of the package `regex`: a search of its own can be given up.

    Raises:
        ConfigError: one is not a regular expression, or matches the empty text.
    """
    if not patterns:
        return []
    regex: Any = import_module("regex")
    compiled: list[Any] = []
    for pattern in patterns:
        try:
            expression = regex.compile(pattern)
            matches_nothing = expression.fullmatch("", timeout=MATCH_SECONDS)
        except (regex.error, RecursionError, OverflowError, TimeoutError) as error:
            raise ConfigError(
                f"{pattern!r} is not a regular expression: {error}", hint="see Python's re module"
            ) from None
        if matches_nothing:
            raise _refuse_empty(pattern)
        compiled.append(expression)
    return compiled


def verify_protected(part: Part, pieces: Sequence[Piece]) -> None:
    """Fail unless the pieces cover the part and keep what is locked or protected.

    Raises:
        FrugalError: a gap or an overlap, a change in a locked segment, or a protected span that
            was altered, or dropped though it is always to be there.
    """
    _verify_cover(part, pieces)
    kept = [_is_kept(part, piece) for piece in pieces]
    # The markers of a fence go with an exemplar, which goes whole.
    emptied = find_emptied(part, pieces) if not all(kept) else []
    _verify_locked(part, pieces, emptied)
    for (at, after), spans in groupby(_find_covering(part, pieces), key=itemgetter(0, 1)):
        if not all(kept[at:after]):
            own = [span for _, _, span in spans]
            own = [one for one in own if one.reason != "fence" or not _is_within(one, emptied)]
            _verify_spans(part, pieces[at:after], own)


def _find_covering(part: Part, pieces: Sequence[Piece]) -> Iterator[tuple[int, int, Span]]:
    """Each span with the indices of the first piece that it stands in and of that after its last.

    What was inserted before a span, or within it, is among them.
    """
    at = 0
    for span in part.protected:
        while pieces[at].end <= span.start:
            at += 1
        after = at + 1
        while pieces[after - 1].end < span.end:
            after += 1
        yield at, after, span


def _verify_spans(part: Part, covering: Sequence[Piece], spans: Sequence[Span]) -> None:
    """Fail unless the spans, all in the same pieces, are in what stands for these pieces."""
    became = "".join(piece.text for piece in covering)
    if not became:
        if all(piece.reason == MARKUP for piece in covering):
            return
        spans = [span for span in spans if span.reason in ALWAYS]
    place = 0
    wanted = [part.text[span.start : span.end] for span in spans]
    # In their order they are found in linear time; counting is for what was put in another order.
    for at, text in enumerate(wanted):
        found = became.find(text, place)
        if found >= 0:
            place = found + len(text)
        elif became.count(text) < wanted.count(text):
            what = f"the protected {spans[at].reason} {text[:60]!r} would be lost"
            raise _broken(part, what)


def _is_kept(part: Part, piece: Piece) -> bool:
    return piece.end - piece.start == len(piece.text) and part.text.startswith(
        piece.text, piece.start
    )


def _verify_cover(part: Part, pieces: Sequence[Piece]) -> None:
    at = 0
    for piece in pieces:
        if piece.start != at or piece.end < at:
            raise _broken(part, f"characters {at} to {piece.start} are covered twice or not at all")
        at = piece.end
    if at != len(part.text):
        raise _broken(part, f"the characters from {at} are not covered")


def _is_within(one: Span | Segment, ranges: Sequence[tuple[int, int]]) -> bool:
    at = bisect_right(ranges, one.start, key=itemgetter(0)) - 1
    return at >= 0 and one.end <= ranges[at][1]


def _verify_locked(part: Part, pieces: Sequence[Piece], emptied: Sequence[tuple[int, int]]) -> None:
    locked = [
        segment for segment in part.segments if segment.locked and not _is_within(segment, emptied)
    ]
    at = 0
    for piece in pieces:
        while at < len(locked) and locked[at].end <= piece.start:
            at += 1
        if at == len(locked):
            return
        segment = locked[at]
        inside = piece.end > segment.start or segment.start < piece.start < segment.end
        if inside and piece.reason != MARKUP and not _is_kept(part, piece):
            raise _broken(part, f"the {segment.kind} at character {segment.start} would be changed")


def _broken(part: Part, what: str) -> FrugalError:
    return FrugalError(
        f"{what}; nothing was written",
        where=part.path,
        hint="compress less, or leave out the tier or method that does it",
    )


def _find_user_spans(text: str, patterns: Sequence[str]) -> Iterator[Span]:
    for expression in compile_patterns(patterns):
        try:
            for match in expression.finditer(text, timeout=MATCH_SECONDS):
                if match.end() == match.start():
                    raise _refuse_empty(expression.pattern)
                yield Span(match.start(), match.end(), "pattern")
        except TimeoutError:
            raise ConfigError(
                f"{expression.pattern!r} takes too long: no end after {MATCH_SECONDS} seconds",
                hint="a repeat within a repeat, as in (a+)+, takes exponential time",
            ) from None


def _refuse_empty(pattern: str) -> ConfigError:
    return ConfigError(f"{pattern!r} matches the empty text, so it protects nothing")


def _find_placeholders(text: str) -> Iterator[Span]:
    if "{" in text:
        for match in _PLACEHOLDER.finditer(text):
            yield Span(match.start(), match.end(), "placeholder")
        if "${" in text:
            for match in _SHELL.finditer(text):
                yield Span(match.start(), match.end(), "placeholder")
    if "%(" in text:
        for match in _PRINTF.finditer(text):
            yield Span(match.start(), match.end(), "placeholder")
    if "```" in text or "~~~" in text:
        for match in _FENCE.finditer(text):
            yield Span(match.start(), match.end(), "fence")


def _find_tags(text: str) -> Iterator[Span]:
    if ">" in text:
        for match in _TAG.finditer(text):
            yield Span(match.start(), match.end(), "tag")


def _find_intact(text: str) -> Iterator[Span]:
    for expression, sign in ((_URL, "://"), (_WWW, "www.")):
        if sign in text:
            for match in expression.finditer(text):
                yield Span(match.start(), _trim_url(text, match.start(), match.end()), "url")
    yield from _find_emails(text)
    number = _NUMBER_AMONG_ESCAPES if "\\u" in text else _NUMBER
    for match in number.finditer(text):
        yield Span(_find_sign(text, match.start()), match.end(), "number")
    for match in _DATE.finditer(text):
        yield Span(match.start(), match.end(), "number")


def _find_sign(text: str, start: int) -> int:
    """Where the sign, currency or "v" before a number begins, or the number where it has none."""
    at = start
    while at > 0 and start - at < 2 and text[at - 1] in _BEFORE_NUMBER:
        at -= 1
    if at < start and text[at] in "<>v" and at > 0 and not text[at - 1].isspace():
        return start
    return at


def _find_emails(text: str) -> Iterator[Span]:
    at = text.find("@")
    while at >= 0:
        local = _LOCAL.search(text, max(0, at - 64), at)
        domain = _DOMAIN.match(text, at + 1)
        if local and domain:
            yield Span(local.start(), domain.end(), "email")
        at = text.find("@", at + 1)


def _trim_url(text: str, start: int, end: int) -> int:
    """The end of a URL without the punctuation of the sentence around it."""
    loose = ".,;:!?*" + "".join(
        close for opening, close in ("()", "[]", "{}") if text.find(opening, start, end) < 0
    )
    while end > start and text[end - 1] in loose:
        end -= 1
    return end


def _outside(
    spans: Iterator[Span], segments: Sequence[Segment], kinds: tuple[str, ...]
) -> Iterator[Span]:
    """The spans, sorted, that do not begin in a segment of one of these kinds."""
    closed = [segment for segment in segments if segment.kind in kinds]
    if not closed:
        yield from spans
        return
    at = 0
    for span in sorted(spans, key=_by_start):
        while at < len(closed) and closed[at].end <= span.start:
            at += 1
        if at == len(closed) or span.start < closed[at].start:
            yield span


def _merge(spans: list[Span]) -> Iterator[Span]:
    """Spans in their order, those that overlap made one."""
    spans.sort(key=_by_start)
    current: Span | None = None
    for span in spans:
        if current is None or span.start >= current.end:
            if current is not None:
                yield current
            current = span
            continue
        reason = min(current.reason, span.reason, key=_get_strength)
        current = Span(current.start, max(current.end, span.end), reason)
    if current is not None:
        yield current


def _cut_out(spans: Iterator[Span], marks: Sequence[Segment]) -> Iterator[Span]:
    """What of the spans is outside our own markup, which does not stay in the text."""
    at = 0
    free = 0
    for span in spans:
        while at < len(marks) and marks[at].end <= span.start:
            at += 1
        start = max(span.start, free)
        while at < len(marks) and marks[at].start < span.end:
            if marks[at].start > start:
                yield Span(start, marks[at].start, span.reason)
            start = free = marks[at].end
            at += 1
        if start < span.end:
            yield Span(start, span.end, span.reason)


def _get_strength(reason: str) -> int:
    """The marker of a fence may go with what it stands around, the rest of its class may not."""
    return 2 if reason not in ALWAYS else 1 if reason == "fence" else 0


def _by_start(span: Span) -> int:
    return span.start
