"""Generated prompts: fragments that break parsers, joined in every order."""

from __future__ import annotations

from hypothesis import strategies as st

FRAGMENTS = (
    "You are a careful assistant. Answer in one word.\n\n",
    "Rules:\n- be brief\n- keep {name} and ${HOME}\n\n",
    "Document [1](Title: Rivers) The Nile is 6,650 km long. It flows north. It feeds many.\n",
    "Document [2](Title: Peaks) Everest is 8,849 m high, see https://example.org/a?b=1#c. Cold!\n",
    '<document title="A">\nSome words here. More of them, 12% more.\n</document>\n',
    "<doc>\nnever closed <b>half",
    "</doc>\n",
    "<open\n",
    "# Heading\nUnder it stand words.\n\n## Rules\nNever lie.\n\n",
    "```python\ndef f(x):\n    # note\n    return x\n```\n",
    "````md\n```js\nlet a = 1;\n```\n````\n",
    "```\nnever closed\n",
    "~~~\n```\n~~~\n",
    '{"a": [1, 2.50, {"b": "c\\u00e9"}], "a": null}\n',
    '[{"id": 1, "name": "ann"}, {"id": 2, "name": "bob"}]\n',
    '{"broken": [1, 2\n',
    'Data: {"key": "value", "list": [1, 2, 3], "more": "text of a length"}\n',
    "| a | b |\n|---|---|\n| 1   | 2 |\n| 3 | 4 |\n\n",
    "a\tb\tc\n1\t2\t3\n4\t5\t6\n\n",
    "2026-11-02 09:15:04 INFO started in 12 ms\n2026-11-02 09:15:05 INFO started in 13 ms\n"
    "2026-11-02 09:15:06 WARN slow: 900 ms\n\n",
    "<div><p>Hi &amp; <a href='https://example.com'>link</a></p></div>\n",
    "Q: What is {{topic}}?\nA: Nothing.\n\n",
    "Input: a\nOutput: b\n\nInput: c\nOutput:",
    "Example 1\nReview: good\nLabel: yes\n\n",
    "User: hi\nAssistant: hello\n",
    "---\n",
    "한국어 문장입니다. 서울은 1,000만 명이 산다. 질문이 있나요?\n\n",
    "שלום עולם. כמה זה עולה?\n",
    "👩‍👩‍👧 emoji 🇰🇷 ok\n",
    "Windows line\r\nand another  \r\n\r\n",
    "\n\n\n\n",
    "    \t  \n",
    "mail a.b@example.com or pay $5.00 by 2026-11-21.\n",
    "%(user)s wrote <TAG attr='1'> to %(them)s\n",
    "<!-- compress: keep -->as  it   is<!-- /compress -->",
    '<!-- compress: document title="T" -->a text of {x}. And more.<!-- /compress -->\n',
    "<!-- compress: code language=python -->",
    "<!-- /compress -->",
    "\ufeff",
    "\x0b\x0c\x1c\u2028\x85",
    "What is the length of the Nile?\n",
    "Answer:",
)

texts = st.one_of(
    st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join),
    st.lists(
        st.one_of(
            st.sampled_from(FRAGMENTS),
            st.text(
                st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=30
            ),
            st.text("`~#<>{}[]|-\"'\\:,. \n\r\t0aQ가", max_size=40),
        ),
        max_size=8,
    ).map("".join),
)
