import pytest
from compress_prompts import texts
from hypothesis import given

from frugalctl.errors import ConfigError, FrugalError
from frugalctl.levers.compress.pieces import Part, Piece, Segment
from frugalctl.levers.compress.protect import ALWAYS, INTACT, find_protected, verify_protected
from frugalctl.levers.compress.segments import parse_segments


def found(text, patterns=(), segments=()):
    return [
        (text[span.start : span.end], span.reason)
        for span in find_protected(text, patterns, segments)
    ]


@pytest.mark.parametrize(
    "text",
    ["{x}", "{user_name}", "{{ topic }}", "${HOME}", "%(user)s", "{0}", "{% if a %}", "{이름}"],
)
def test_placeholders(text):
    assert found(f"see {text} here") == [(text, "placeholder")]


@pytest.mark.parametrize("text", ["<name>", "</name>", "<br/>", "<your name>", "<a b='c d'>"])
def test_tags(text):
    assert found(f"see {text} here") == [(text, "tag")]


@pytest.mark.parametrize(
    "text",
    [
        "12 km",
        "$5.00",
        "1,234.56",
        "-3.5°C",
        "12%",
        "2026-11-21",
        "2026-11-21T07:23:22.120Z",
        "v1.2.3-rc1",
        "07:23",
        "1e-9",
        "250 ms",
        "3 million",
        "1,000만",
        "5,000원",
        "Nov 21, 2026",
        "≈7",
    ],
)
def test_numbers_with_their_signs_and_units(text):
    assert found(f"about {text} here") == [(text, "number")]


def test_links():
    assert found("see https://example.org/a_(b)?c=1#d, or a.b+c@example.co.uk.") == [
        ("https://example.org/a_(b)?c=1#d", "url"),
        ("a.b+c@example.co.uk", "email"),
    ]
    assert found("(www.example.org/x)을") == [("www.example.org/x", "url")]


def test_fences():
    assert found("a\n```py\nb\n```\r\n") == [("```py", "fence"), ("```", "fence")]


def test_a_placeholder_in_a_link_makes_one_span_that_stays():
    assert found("https://example.org/{id}/x ok") == [("https://example.org/{id}/x", "placeholder")]


def test_user_patterns():
    assert found("Order AB-77 now", [r"[A-Z]{2}-\d+"]) == [("AB-77", "pattern")]
    for bad in ("(", "a*"):
        with pytest.raises(ConfigError):
            find_protected("a", [bad])


def test_segments_decide():
    text = "<b>12 km</b> {x}"
    html = (Segment(0, len(text), "html"),)
    assert found(text, (), html) == [("{x}", "placeholder")]
    code = (Segment(0, len(text), "code"),)
    assert found(text, (), code) == [("12 km", "number"), ("{x}", "placeholder")]


def test_spans_end_at_our_markup():
    text = "<!-- compress: keep -->a<!-- /compress -->7 km"
    assert found(text, (), parse_segments(text)) == [("7 km", "number")]
    assert found(text, [".+"], parse_segments(text)) == [("a", "pattern"), ("7 km", "pattern")]


@given(texts)
def test_spans_are_sorted_and_apart(text):
    at = 0
    for span in find_protected(text, [r"[a-c]+"]):
        assert at <= span.start < span.end <= len(text)
        assert span.reason in ALWAYS | INTACT
        at = span.end


TEXT = "Keep {x} now. Pay 5 km here."
PART = Part(
    TEXT,
    "",
    None,
    (Segment(0, len(TEXT), "prose"),),
    find_protected("Keep {x} now. Pay 5 km here."),
)


def pieces(*changes):
    made = []
    at = 0
    for start, end, text in changes:
        made.append(Piece(at, start, TEXT[at:start]))
        made.append(Piece(start, end, text, "x"))
        at = end
    return [*made, Piece(at, len(TEXT), TEXT[at:])]


@pytest.mark.parametrize(
    "changes",
    [
        [],
        [(0, 5, "")],
        [(13, len(TEXT), "")],
        [(0, 13, "The {x}.")],
        [(14, 28, "5 km to pay")],
        [(5, 5, "inserted ")],
    ],
)
def test_what_keeps_the_spans_passes(changes):
    verify_protected(PART, pieces(*changes))


@pytest.mark.parametrize(
    "changes",
    [
        [(0, 13, "")],
        [(6, 7, "y")],
        [(18, 19, "6")],
        [(18, 20, "")],
        [(14, 28, "5km to pay")],
        [(6, 6, "-")],
        [(19, 19, " ")],
    ],
)
def test_what_breaks_a_span_fails(changes):
    with pytest.raises(FrugalError, match="protected") as caught:
        verify_protected(PART, pieces(*changes))
    assert caught.value.exit_code == 2


def test_a_span_may_not_stand_in_for_another():
    text = "{x} and {x}."
    part = Part(text, protected=find_protected(text))
    verify_protected(part, [Piece(0, len(text), "{x}, {x}")])
    with pytest.raises(FrugalError, match="protected"):
        verify_protected(part, [Piece(0, len(text), "{x}")])


def test_locked_segments_and_cover():
    part = Part("Do it. Text.", "", None, (Segment(0, 7, "instruction", locked=True),))
    for broken in (
        [Piece(0, 12, "Do it.Text.")],
        [Piece(0, 6, "Do it."), Piece(6, 7, "", "white space"), Piece(7, 12, "Text.")],
        [Piece(0, 3, "Do "), Piece(3, 3, "!"), Piece(3, 12, "it. Text.")],
    ):
        with pytest.raises(FrugalError, match="instruction"):
            verify_protected(part, broken)
    with pytest.raises(FrugalError, match="covered"):
        verify_protected(part, [Piece(0, 5, "Do it"), Piece(6, 12, " Text.")])
    with pytest.raises(FrugalError, match="covered"):
        verify_protected(part, [Piece(0, 7, "Do it. ")])
    verify_protected(part, [Piece(0, 7, "Do it. "), Piece(7, 7, "+"), Piece(7, 12, "")])
