"""What is kept of a prompt: within the budget, whole, in order, and what the question needs."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.errors import UsageError
from frugalctl.levers.compress.extractive import select
from frugalctl.levers.compress.pieces import CompressedPart, Part, Piece, Segment, Span
from frugalctl.levers.compress.protect import verify_protected
from frugalctl.levers.compress.settings import CompressSettings
from frugalctl.tokens import count_text

LEXICAL = CompressSettings(embedder="none")
KINDS = ("document", "prose", "code", "log", "table", "json", "exemplar", "instruction")
WORDS = (
    "the river rose. {name} paid 12.50 EUR! 한국어 문장입니다. 東京は大きい。 def f():\n return (1,"
    '\n2)\n  | a | b |\n|---|---|\n https://a.example/x?y=1 e.g. this… "quoted." Next line\n\n\n '
    '- item\n🙂 Anna: hello there\nBen: no idea\n \t مرحبا. {"a": [1, 2]}\n'
).split(" ")


def count(text):
    return count_text(text, "gpt-5.4-mini")


def make_part(texts, protected=()):
    """A part of (kind, title, text) segments, of which each has a group of its own."""
    text, segments = "", []
    for group, (kind, title, body) in enumerate(texts):
        start = len(text)
        text += f"{title}\n{body}" if title else body
        locked = kind == "instruction"
        segments.append(Segment(start, len(text), kind, title=title, group=group, locked=locked))
    part = Part(text, segments=tuple(segments), protected=tuple(protected))
    return CompressedPart(part, (Piece(0, len(text), text),))


def documents(count_=10, seed=1):
    """Documents about things that do not exist, so that only one has the answer."""
    drawn = random.Random(seed)
    letters = "bcdfgklmnprstvz"

    def name():
        return "".join(drawn.choice(letters) + drawn.choice("aeiou") for _ in range(3)).title()

    made = []
    for number in range(count_):
        place, mayor, river = name(), name(), name()
        made.append(
            (
                place,
                f"{place} is a town on the river {river}. Its market opens every second week. "
                f"The mayor of {place} is {mayor}, elected for {number + 3} years. Visitors like "
                "the old bridge and the bakery. Trains leave from the northern station.\n\n",
                mayor,
            )
        )
    return made


@st.composite
def prompts(draw):
    texts = draw(
        st.lists(
            st.tuples(
                st.sampled_from(KINDS),
                st.sampled_from(["", "Title one", "제목"]),
                st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join),
            ),
            min_size=1,
            max_size=6,
        )
    )
    plain = make_part([row for row in texts if row[1] or row[2]] or [("prose", "", "x")])
    size = len(plain.part.text)
    cuts = sorted(draw(st.sets(st.integers(0, size), max_size=8)))
    reasons = st.sampled_from(["number", "url", "placeholder"])
    spans = tuple(
        Span(start, end, draw(reasons)) for start, end in zip(cuts[::2], cuts[1::2], strict=False)
    )
    part = Part(plain.part.text, segments=plain.part.segments, protected=spans)
    return CompressedPart(part, plain.pieces)


@given(
    prompts(),
    st.floats(0.05, 1),
    st.sampled_from([None, "", "What did {name} pay for the river?", "도쿄는 큰가요 東京"]),
    st.sampled_from(["none", "first", "ends"]),
)
def test_budget_cover_protection_and_order(prompt, rate, question, reorder):
    settings = CompressSettings(embedder="none", reorder=reorder)
    budget = int(rate * count(prompt.part.text))
    try:
        (made,) = select([prompt], question, count, budget, settings)
    except UsageError as error:
        assert "too few" in error.message
        return
    assert count(made.text) <= budget
    verify_protected(made.part, made.pieces)
    for piece in made.pieces:
        assert piece.start == piece.end or piece.text in (
            "",
            prompt.part.text[piece.start : piece.end],
        )
    if made.order is not None:
        assert reorder != "none"
        assert sorted(made.order) == list(range(len(made.pieces)))
    assert select([prompt], question, count, budget, settings) == [made]


@given(prompts())
def test_whole_prompt_within_budget_is_left_alone(prompt):
    assert select([prompt], "why?", count, count(prompt.part.text), LEXICAL) == [prompt]


@pytest.mark.parametrize("embedder", ["none", "static"])
def test_answer_survives(embedder):
    kept = 0
    made = documents(20)
    part = make_part([("document", place, text) for place, text, _ in made])
    budget = count(part.part.text) // 6
    for place, _, mayor in made:
        settings = CompressSettings(embedder=embedder)
        (short,) = select([part], f"who is the mayor of {place}?", count, budget, settings)
        kept += f"is {mayor}," in short.text
        assert short.text.count("\n") >= 1
        assert all(
            piece.score is not None for piece in short.pieces if piece.reason.startswith("l")
        )
    assert kept == 20


def test_title_comes_with_its_document_only():
    made = documents(6)
    part = make_part([("document", place, text) for place, text, _ in made])
    place = made[3][0]
    (short,) = select([part], f"mayor of {place}", count, count(part.part.text) // 6, LEXICAL)
    assert short.text.startswith(f"{place}\n")
    assert sum(short.text.count(f"{other}\n") for other, _, _ in made) == 1


def test_exemplars_go_whole():
    shots = [("exemplar", "", f"Q: what is {n}?\nA: it is {n}.\n\n") for n in range(8)]
    part = make_part(shots)
    for share in (2, 4):
        (short,) = select([part], "what is 5?", count, count(part.part.text) // share, LEXICAL)
        for _, _, shot in shots:
            question, answer = shot.split("\n")[:2]
            assert (question in short.text) == (answer in short.text)
        assert "it is 5." in short.text


def test_header_of_a_table_stays_with_its_rows():
    rows = "".join(f"| item{n} | {n * 7} |\n" for n in range(30))
    part = make_part([("table", "", "| name | price |\n|---|---|\n" + rows)])
    (short,) = select([part], "price of item17", count, count(part.part.text) // 5, LEXICAL)
    assert short.text.startswith("| name | price |\n|---|---|\n")
    assert "| item17 | 119 |" in short.text


def test_pinned_sentence_stays_and_the_rest_goes():
    text = "One is here. Two has {name} in it. Three is there. Four is gone."
    at = text.index("{")
    part = make_part([("prose", "", text)], [Span(at, at + 6, "placeholder")])
    (short,) = select([part], None, count, 9, LEXICAL)
    assert "Two has {name} in it." in short.text
    with pytest.raises(UsageError, match="what has to stay is 8"):
        select([part], None, count, 3, LEXICAL)


def test_prompt_is_never_emptied():
    part = make_part([("prose", "", "A sentence of some words stands here. Another one too.")])
    with pytest.raises(UsageError, match="too few"):
        select([part], None, count, 1, LEXICAL)


def test_dropped_paragraphs_leave_one_gap():
    text = "Alpha is first.\n\nBeta is second.\n\nGamma is third.\n\nDelta is last.\n"
    part = make_part([("prose", "", text)])
    left = "Alpha is first.\n\nDelta is last.\n"
    (short,) = select([part], "alpha delta", count, count(left), LEXICAL)
    assert short.text == left


def test_reordered_documents_stay_apart():
    made = documents(5)
    rows = [("document", place, text) for place, text, _ in made]
    rows[-1] = ("document", rows[-1][1], rows[-1][2].rstrip())
    part = make_part(rows)
    settings = CompressSettings(embedder="none", reorder="first")
    question = f"who is the mayor of {made[-1][0]}?"
    (short,) = select([part], question, count, count(part.part.text) - 9, settings)
    assert short.text.startswith(f"{made[-1][0]}\n")
    for place, _, _ in made[:-1]:
        assert f"\n{place}\n" in short.text


def test_repeated_sentences_go_first_without_a_question():
    same = "The engine must be checked for oil before each flight."
    texts = [
        f"Rule {n} speaks of {word}." for n, word in enumerate("fuel tyres lights radio".split())
    ]
    part = make_part([("prose", "", " ".join([same, texts[0], same, *texts[1:], same]))])
    budget = count(part.part.text) - 2 * count(" " + same)
    for embedder in ("none", "static"):
        settings = CompressSettings(embedder=embedder)
        (short,) = select([part], None, count, budget, settings)
        assert short.text.count(same) == 1
        assert all(text in short.text for text in texts)


def test_auto_keeps_what_may_matter_and_says_so():
    made = documents(20)
    part = make_part([("document", place, text) for place, text, _ in made])
    question = f"who is the mayor of {made[7][0]}?"
    (free,) = select([part], question, count, 10**6, CompressSettings(auto=True))
    assert made[7][2] in free.text
    assert count(free.text) < count(part.part.text) / 2
    assert not free.warnings
    tight = CompressSettings(auto=True, rate=0.02)
    (short,) = select([part], question, count, count(part.part.text) // 50, tight)
    assert "may be needed" in short.warnings[0]
    assert count(short.text) <= count(part.part.text) // 50


def test_warnings():
    made = documents(10)
    rows = [("document", place, text) for place, text, _ in made]
    part = make_part([*rows, ("log", "", "2026-01-01 ERROR disk\n2026-01-02 INFO ok\n")])
    question = f"Who is older, the mayor of {made[0][0]} or the mayor of {made[1][0]}?"
    (short,) = select([part], question, count, count(part.part.text) // 4, LEXICAL)
    assert "several facts" in short.warnings[0]
    assert short.warnings[1] == "dropped whole: log (1)"


def test_many_parts_share_one_budget():
    parts = [make_part([("document", place, text)]) for place, text, _ in documents(8)]
    place, _, mayor = documents(8)[5]
    whole = sum(count(part.text) for part in parts)
    made = select(parts, f"mayor of {place}", count, whole // 4, LEXICAL)
    assert sum(count(part.text) for part in made) <= whole // 4
    assert mayor in made[5].text
    assert len(made) == 8


def test_changes_of_earlier_tiers_are_kept():
    text = "One is  here.\n\n\n\nTwo is there. Three goes away."
    whole = Segment(0, len(text), "prose")
    pieces = (
        Piece(0, 6, "One is"),
        Piece(6, 8, " ", "white space"),
        Piece(8, 13, "here."),
        Piece(13, 17, "\n\n", "white space"),
        Piece(17, len(text), text[17:]),
    )
    part = CompressedPart(Part(text, segments=(whole,)), pieces)
    (short,) = select([part], "one two", count, 10, LEXICAL)
    assert short.text == "One is here.\n\nTwo is there. "[: len(short.text)]
    assert "Three" not in short.text
