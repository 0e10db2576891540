import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.errors import ConfigError
from frugalctl.replay.templates.infer import Shapes, infer_templates
from frugalctl.replay.templates.move import move_slots
from frugalctl.replay.templates.parse import Slot, Template, parse_template


def names(template):
    return [slot.name for slot in template.slots]


@pytest.mark.parametrize(
    ("source", "texts", "slots"),
    [
        ("Hello {name}.\n", ("Hello ", "."), ["name"]),
        ("Hello ${name}, not {this}.", ("Hello ", ", not {this}."), ["name"]),
        ("Hello {{ name }} and {{x}}, not {this}.", ("Hello ", " and ", ", not {this}."), 2),
        ("{{ user.name }}: hi", ("", ": hi"), ["user.name"]),
        ("{# a note #}Hi {{ x }}", ("Hi ", ""), ["x"]),
        ('Answer {"a": 1} for {x}', ('Answer {"a": 1} for ', ""), ["x"]),
        ('Answer {{"a": {x}}}', ('Answer {"a": ', "}"), ["x"]),
        ("```\nf({x})\n```", ("```\nf(", ")\n```"), ["x"]),
        ("no {1} and { x } and {a b}", ("no {1} and { x } and {a b}",), []),
        ("\r\nOne\r\n{x}\r\n", ("One\n", ""), ["x"]),
        ("\ufeffOne", ("One",), []),
        ("{{ now | strftime }} {x}", ("", " {x}"), ["now | strftime"]),
        ("{{now()}} {{ a.b() }} {{x|f|g}}", ("", " ", " ", ""), ["now()", "a.b()", "x | f | g"]),
        ("{{ user['name'] }}.", ("", "."), ["user['name']"]),
        ("{{ 고객 }} {{ x }}", ("", " ", ""), ["고객", "x"]),
        ("{고객}: ${5}", ("", ": ${5}"), ["고객"]),
        ("{now:%H:%M} {x!r} {a.b[0]} {n:>5}", ("", " ", " ", " ", ""), 4),
        ("${a} $b님, $5, $$c", ("", " ", "님, $5, $$c"), ["a", "b"]),
        ("$now alone", ("$now alone",), []),
        (r"\frac{1}{2} {x}", (r"\frac{1}{2} ", ""), ["x"]),
        (r"\frac{{a+b}}{{2}} e^{{n-1}} {x}", (r"\frac{a+b}{2} e^{n-1} ", ""), ["x"]),
        ("f = {{ return a(b); }} {x}", ("f = { return a(b); } ", ""), ["x"]),
        ("{{ a, b }} {x}", ("{ a, b } ", ""), ["x"]),
        ("{name: string, age: number} {x}", ("{name: string, age: number} ", ""), ["x"]),
        ("a {} of {x}", ("a {} of ", ""), ["x"]),
        ("{½} {①}", ("{½} {①}",), []),
    ],
)
def test_placeholders(source, texts, slots):
    found = parse_template(source, "t.md")
    assert found.texts == texts
    known = {2: ["name", "x"], 4: ["now:%H:%M", "x!r", "a.b[0]", "n:>5"]}
    assert names(found) == (slots if isinstance(slots, list) else known[slots])


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("{{ x }}\n{name}, ${who} and { y }", [("{name}", 2), ("${who}", 2), ("{ y }", 2)]),
        ("{x} {}\n{now:%H}", [("{now:%H}", 2)]),
        ("{x}\n$now and $$now and $5", [("$now", 2)]),
        ("{x} {{f(x)}}", []),
        ("{x} {} {{f(x)}} {{your name}}", [("{{f(x)}}", 1), ("{{your name}}", 1)]),
        ('{{ x }} {"a": 1} {a b} {1} {} \\frac{a}{b} {key: 1} $x$', []),
    ],
)
def test_what_looks_like_a_placeholder_and_is_text_is_known(source, found):
    looks = parse_template(source, "t.md").lookalikes
    assert [(slot.name, slot.line) for slot in looks] == found


def test_slots_know_their_lines():
    found = parse_template("\none\n{a}\n\n{b} {c}\n", "t.md")
    assert [(slot.name, slot.line) for slot in found.slots] == [("a", 3), ("b", 5), ("c", 5)]
    assert found.first_line == 2


@pytest.mark.parametrize(
    ("source", "where"),
    [
        ("a\n{% if x %}b{% endif %}", "t.j2:2"),
        ("{{ a }}\n\n{{ b | round(2) }}", "t.j2:3"),
        ("One\n{{ now | strftime('%H') }}", "t.j2:2"),
        ("{customer}\n{{ price * 2 }}", "t.j2:2"),
        ("{{ name if name }}", "t.j2:1"),
        ("{{ a ~ b }}", "t.j2:1"),
        ("${x} {{ f(x) }}", "t.j2:1"),
    ],
)
def test_logic_in_a_template_is_refused_with_its_line(source, where):
    with pytest.raises(ConfigError) as caught:
        parse_template(source, "t.j2")
    assert caught.value.where == where


_literals = st.text("ab\n {}", max_size=5)


@given(st.lists(_literals, min_size=1, max_size=6), st.data())
def test_what_is_rendered_is_found_again(texts, data):
    template = Template(tuple(texts), tuple(Slot(f"s{at}") for at in range(len(texts) - 1)))
    values = data.draw(st.tuples(*[st.text("ab {", max_size=4)] * (len(texts) - 1)))
    text = template.render(values)
    found = template.match(text)
    assert found is not None
    assert template.render(found) == text


@given(st.lists(_literals, min_size=1, max_size=4), st.text("ab\n {}", max_size=12))
def test_a_match_renders_the_text(texts, text):
    template = Template(tuple(texts), tuple(Slot(f"s{at}") for at in range(len(texts) - 1)))
    found = template.match(text)
    assert found is None or template.render(found) == text


def test_matching_takes_linear_time():
    template = Template(("", *["a"] * 50, "b"), tuple(Slot(f"s{at}") for at in range(51)))
    begun = time.process_time()
    assert template.match("a" * 1_000_000) is None
    assert time.process_time() - begun < 1


def _infer(texts, source):
    shapes = Shapes()
    for text in texts:
        shapes.add(text)
    return infer_templates(shapes, [parse_template(source, "t.md")])[0]


RULES = "Answer the questions of our customers in two sentences, and never promise a refund."


def test_a_constant_prompt_is_its_own_old_template():
    old = _infer([RULES], f"{RULES} Be friendly.")
    assert old == Template((RULES,), ())


def test_values_are_named_after_the_placeholders_that_stand_where_they_do():
    texts = [
        f"Now: 2026-10-0{at}T10:00:0{at}Z. {RULES} For {who}."
        for at, who in ((1, "Ada Bell"), (2, "Ben Cole"), (3, "Cy"))
    ]
    old = _infer(texts, f"{RULES} It is late. Now: {{now}}. For {{customer}}.")
    assert old is not None
    assert names(old)[1] == "customer"
    for text, who in zip(texts, ("Ada Bell", "Ben Cole", "Cy"), strict=True):
        values = old.match(text)
        assert values is not None
        assert values[1] == who


def test_a_value_that_never_varies_takes_the_name_of_its_placeholder():
    old = _infer([f"You work for Acme Bank. {RULES}"], f"You work for {{company}}. {RULES} Hurry.")
    assert old is not None
    assert old.match(f"You work for Acme Bank. {RULES}") == ("Acme Bank",)
    assert names(old) == ["company"]


def test_another_prompt_is_no_old_template():
    assert _infer(["Translate the following text into Korean, word by word."], RULES) is None


def test_a_prompt_of_the_same_common_words_is_no_old_template():
    shop = (
        "You answer customers of the shop. It is open from Monday to Friday. A repair is booked in "
        "the shop or on the website. If a part is out of stock we say so. Never promise a refund."
    )
    bank = (
        "You answer customers of the bank. A card is blocked in the app or on the telephone. It is "
        "free if the loss is told on the day. Never ask for a password. We say so in the branch."
    )
    assert _infer([bank], f"{shop} {{question}}") is None
    assert _infer([f"{shop} Ask me anything"], f"Be kind. {shop} {{question}}") is not None
    assert _infer(["Be brief."], "{now}\nBe brief.") is not None


@pytest.mark.parametrize(
    ("source", "slot", "kept", "moved"),
    [
        ("It is {now}.\nRules.\nFor {who}.", 0, "Rules.\nFor {who}.", "It is {now}."),
        ("It is {now}, {who}. Rules.", 0, "It is , {who}. Rules.", "{now}"),
        ("Rules.\nIt is {now}.\nMore.", 0, "Rules.\nMore.", "It is {now}."),
        ("Rules. {now}", 0, "Rules.", "{now}"),
    ],
)
def test_a_line_is_moved_whole_if_nothing_else_varies_in_it(source, slot, kept, moved):
    def write(template):
        return template.render([f"{{{one.name}}}" for one in template.slots])

    found = move_slots(parse_template(source, "t.md"), [slot])
    assert (write(found.kept), write(found.moved)) == (kept, moved)
    assert write(found.join()) == f"{kept}\n{moved}"


def test_documents_in_the_prompt_are_one_value():
    rng = random.Random(3)
    words = [f"word{at}" for at in range(300)]
    documents = [" ".join(rng.choices(words, k=2000)) for _ in range(9)]
    texts = [f"{RULES}\n\nDocuments: {document}\nEnd of documents." for document in documents]
    begun = time.process_time()
    old = _infer(texts, f"{RULES} Quote them.\n\nDocuments: {{context}}\nEnd of documents.")
    assert time.process_time() - begun < 5
    assert old is not None
    assert names(old) == ["context"]
    assert [old.match(text) for text in texts] == [(document,) for document in documents]
