"""Orders at both ends of a prompt, and what looks like them and is not."""

import pytest

from frugalctl.levers.compress.caution import find_asking, joins_facts
from frugalctl.levers.compress.pipeline import compress_prompt
from frugalctl.levers.compress.prompt import build_prompt, read_prompt
from frugalctl.levers.compress.segments import parse_segments
from frugalctl.levers.compress.settings import CompressSettings

BODY = (
    "Refunds are processed within 14 days. The customer has to send the parcel back. Gift cards "
    "are not refundable. Shipping takes 3 to 5 working days. Our warehouse is in Rotterdam. It was "
    "opened in 1998. It employs 340 people. They began with buttons. The first shop stood on the "
    "fish market. The postage of the return is paid by the customer. "
)
ASKED = "How long does a refund take?"


def split(text):
    """What is locked, and what is not, each joined."""
    segments = parse_segments(text)
    return tuple(
        "".join(text[item.start : item.end] for item in segments if item.locked == locked)
        for locked in (True, False)
    )


@pytest.mark.parametrize(
    "rules",
    [
        "# Instructions\nAnswer it.\n\n# Safety\nNever reveal a name. Calls go to a human.\n\n"
        "# Language\nThe reply has to be in French.\n\n# Context\n",
        "You are a clerk of a shop.\n\nLimit the answer to 100 words.\n\nThe output has to be JSON "
        "with one key.\n\nUnder no circumstances mention rivals.\n\nContext:\n",
        "As an experienced lawyer, your role is to check contracts. Avoid Latin.\n\nContext:\n",
        "SYSTEM PROMPT\n\nTone: calm.\nForbidden: legal advice.\n\nKNOWLEDGE BASE\n\n",
        "**Instructions**\n\nBe brief.\n\n**Context**\n\n",
        "You are a clerk. Follow these rules:\n\n1. Be brief.\n2. Stay polite.\n\n"
        "   Even with rude people.\n\n3. Prices are never quoted.\n\nHere is what we know:\n",
        "I build a bot for a shop. I have the policy below:\n\n",
        "<role>You are a clerk. Never lie.</role>\n<tone>Kind.</tone>\n\n<context>\n",
        "<instructions>Answer in French.\nMention no rival.</instructions>\n\n<context>\n",
        "# Role\n\nYou are a clerk.\n\n## Rules\n\n- Never lie.\n\n## Context\n\n",
        "# Instructions\n\nAnswer from the documents.\n\nDocument 1: refunds\n",
        "# Instructions\n\nAnswer from the documents.\n\n<documents>\n<document>\n",
    ],
)
def test_all_orders_before_the_documents_are_locked_and_these_are_not(rules):
    close = "".join(f"</{tag}>\n" for tag in ("document", "documents") if f"<{tag}>" in rules)
    locked, free = split(f"{rules}{BODY}\n{close}\nQuestion: {ASKED}\n")
    orders = rules.rstrip().rpartition("\n\n")[0] or rules.rpartition("\n")[0]
    assert all(line in locked for line in orders.splitlines() if not line.startswith("#"))
    assert BODY.strip() in free and ASKED in locked


@pytest.mark.parametrize(
    ("tail", "question"),
    [
        (f"{ASKED}\n\nReply with yes or no only, and then say why.\n\nThanks!\n", ASKED),
        (f"Question: {ASKED}\n\nOutput only the number of days. Say NONE if unsure.", ASKED),
        (f"<question>{ASKED}</question>\n", ASKED),
        (f"<user_query>\n{ASKED}\n</user_query>\n", ASKED),
        (f"<task>{ASKED}</task>", ASKED),
        (f"USER QUESTION\n\n{ASKED}\n", ASKED),
        (f"Answer the following question:\n{ASKED}", f"Answer the following question:\n{ASKED}"),
        ("Question: {ticket}\nAnswer:", None),
        ("Input: {{ ticket }}\nOutput:", None),
    ],
)
def test_the_question_is_found_and_the_orders_around_it_stay(tail, question):
    text = f"You are a clerk.\n\n<context>\n{BODY}\n</context>\n\n{tail}"
    assert read_prompt(text).question == question
    locked, free = split(text)
    assert tail.strip() in locked and BODY in free


def test_articles_without_orders_have_nothing_locked():
    article = f"# Our shop\n\n{BODY}\n\n## Returns\n\n{BODY}\n\n## The town\n\n{BODY}\n"
    assert split(article)[0] == ""
    assert split(f"Our shop\n\n{BODY}\n\nThe town is old.\n\n{BODY}")[0] == ""


def test_a_long_talk_is_no_open_example_wherever_it_is_cut():
    turn = "Anna: well\nBen: so\n"
    for size in range(1480, 1520):
        text = ("x" * (size % 18) + "\n" + turn * 200)[: size * 2]
        assert split(text)[0] == ""


def test_a_heading_that_says_nothing_is_an_article_where_it_gives_no_orders():
    text = f"# Task\nSummarise it.\n\n# Our shop\n{BODY}\n\n# The town\n{BODY}\n"
    locked, free = split(text)
    assert locked == "# Task\nSummarise it.\n\n" and free.count(BODY) == 2


def test_a_template_of_the_output_is_no_document():
    text = "# Output format\n\n<result>\n<answer>...</answer>\n</result>\nTitle: ...\n\nBe brief."
    assert split(text) == (text, "")


def test_a_bare_label_after_the_last_example_is_the_question():
    shot = "Example {}\nEnglish: Good morning.\n\nGerman: Guten Morgen.\n\n"
    text = f"Translate.\n\n{shot.format(1)}{shot.format(2)}English: Where is it?\nGerman:\n"
    kinds = [(item.kind, item.locked) for item in parse_segments(text)]
    assert kinds == [
        ("instruction", True),
        ("exemplar", False),
        ("exemplar", False),
        ("question", True),
    ]
    assert read_prompt(text).question == "Where is it?"
    apart = text.replace("it?\nGerman", "it?\n\nGerman")
    assert split(apart)[0].endswith("English: Where is it?\n\nGerman:\n")


@pytest.mark.parametrize(
    "contract",
    [
        '[{"name": "get", "description": "A.", "parameters": {"type": "object"}},\n'
        ' {"name": "put", "description": "B.", "parameters": {"type": "object"}}]',
        '[{"type": "function", "function": {"name": "get", "parameters": {}}}]',
        '{"name": "get", "input_schema": {"type": "object"}, "description": "Never above 50."}',
        '```json\n{"type": "object", "properties": {"tool": {"type": "string"}}}\n```',
    ],
)
def test_definitions_of_tools_and_schemas_are_orders(contract):
    text = f"You may call these tools:\n\n{contract}\n\nI want my money back for order 4711."
    assert split(text) == (text, "")
    assert compress_prompt(read_prompt(text), CompressSettings()).text == text


def test_records_with_a_name_are_data():
    text = 'Rows:\n\n[{"name": "a", "size": 1}, {"name": "b", "size": 2}]\n\nWhich is larger?'
    assert '"size": 1' in split(text)[1]


def test_a_trace_without_the_word_error_is_part_of_the_log():
    line = "2026-11-20T10:00:0{}Z ERROR api failed\n"
    trace = 'Traceback (most recent call last):\n  File "a.py", line 8\nPoolTimeout: none left\n'
    text = f"Find the cause.\n\n{''.join(line.format(at) for at in range(3))}{trace}" + line
    assert [item.kind for item in parse_segments(text)] == ["instruction", "log"]


def test_a_lost_order_is_told():
    text = f"{BODY}Never mention the price of a thing. {BODY}"
    made = compress_prompt(read_prompt(text), CompressSettings(rate=0.1), ASKED)
    assert "Never mention" not in made.text
    assert any("'Never mention the price of a thing.'" in one for one in made.warnings)
    kept = compress_prompt(read_prompt(BODY + BODY), CompressSettings(rate=0.3), ASKED)
    assert not any("instruction" in one for one in kept.warnings)


@pytest.mark.parametrize(
    ("question", "joins"),
    [
        ("명절에는 막차가 언제까지 다니나요?", False),
        ("두 노선 중에서 어느 쪽이 더 깁니까?", True),
        ("Summarise the above in three points. The readers are lawyers. Avoid adjectives.", False),
        ("I came by bus and train with both of my sons. When does the museum open?", False),
        ("Which is older, the bank or the mill?", True),
    ],
)
def test_only_what_asks_can_join_facts(question, joins):
    assert joins_facts(question) == joins


def test_what_asks_in_a_message():
    said = "The pens are lovely. My son took one. Can I send the notebook back? Thanks a lot."
    assert find_asking(said) == "Can I send the notebook back?"
    assert find_asking("It broke in May. And why?") == "It broke in May. And why?"
    named = "Was it Mr. Smith who paid the bill?"
    assert find_asking(named) == named


def test_the_sentence_that_asks_weighs_more_than_those_around_it():
    rows = "The notebook costs 11 euros in the shop. The pen can be sent back within a month. "
    talk = [
        {"role": "tool", "content": rows + "Our shop is in a lovely street. Rain falls in May."},
        {
            "role": "user",
            "content": "The lovely notebook from your shop costs a lot, in euros and in the "
            "street, and my son drew a zoo into the notebook. Can I send the pen back?",
        },
    ]
    for embedder in ("none", "static"):
        settings = CompressSettings(rate=0.75, embedder=embedder)
        made = compress_prompt(build_prompt(talk), settings)
        assert "The pen can be sent back" in made.parts[0].text
