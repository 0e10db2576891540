"""Generated prompts through every tier: what must hold whatever is in them.

Fragments that break parsers (nested and open fences, half-open tags, broken JSON, CRLF, byte-order
marks, emoji, right-to-left and Hangul text, our own markup), random characters between them, in
every order, as texts, chats, JSON documents and lines of a megabyte; any rate, any tiers. Of each
prompt is checked that protected spans come out byte for byte, that the budget is kept or refused by
name, that `restore` gives back the very text, that minified JSON decodes to an equal value, and
that nothing is raised but that refusal.

    python benchmarks/compress_fuzz.py [--prompts 10000] [--seed 0]
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence

from frugalctl.errors import UsageError
from frugalctl.levers.compress.fences import find_emptied
from frugalctl.levers.compress.manifest import restore
from frugalctl.levers.compress.pieces import CompressedPart, Segment, Span
from frugalctl.levers.compress.pipeline import CompressedPrompt, compress_prompt
from frugalctl.levers.compress.prompt import Prompt, build_prompt, read_prompt
from frugalctl.levers.compress.protect import ALWAYS
from frugalctl.levers.compress.runs import REPEAT
from frugalctl.levers.compress.segments import MARKUP, is_markup
from frugalctl.levers.compress.settings import TIERS, CompressSettings
from frugalctl.tokens import count_text

LIMIT_SECONDS = 180
PATTERNS = (r"(?i)nile|snow", r"[A-Z]{3}-\d+")
RATES = (None, None, 0.05, 0.2, 0.5, 0.8, 1.0)
FRAGMENTS = (
    "Be brief and keep {name}, ${HOME} and {{ user.id }} as they are.\n\n",
    "Document [1](Title: Rivers) The Nile is 6,650 km long. It flows north, says RFC-791.\n",
    "Document [2](Title: Peaks) Everest is 8,849 m high, see https://example.org/a?b=1#c. Cold!\n",
    '<document title="Rain">\nIt rains 12% more. Then it stops.\n</document>\n',
    "<documents>\n<document>\nOne.\n</document>\n<document>\nTwo.\n",
    "</document>\n</documents>\n",
    "<context>\nnever closed <b>half",
    "<half-open\n",
    "<a href='x>\n",
    "# Heading\nWords stand here. And here.\n\n## Rules\nNever lie.\n\n",
    "````md\n```python\ndef f(x):\n    # note\n    return '''x'''\n```\n````\n",
    '```json\n{"a":   1}\n```\n',
    "```\nnever closed\n",
    "~~~\n```\n~~~\n",
    '{"a": [1, 2.50, {"b": "c\\u00e9\\uac00\\ub098"}], "a": null, "n": 1e400}\n',
    json.dumps([{"id": at, "name": f"n{at}", "ok": at % 2 == 0} for at in range(6)], indent=2),
    '{"broken": [1, 2\n',
    "| a | b |\n|-----|:---:|\n| 1   | {x} |\n| 3 | 4 |\n\n",
    "a,b,c\n1,2,3\n4,5,6\n7,8,9\n\n",
    "".join(f"2026-11-02 09:15:{at:02d} INFO job {at} done in {at * 7} ms\n" for at in range(12)),
    "2026-11-02 09:16:00 ERROR {x} failed\n    at main.py:7\n",
    "<div><p>Hi &amp; <a href='https://example.com'>link</a></p><script>1<2</script></div>\n",
    "<html><body><p>never closed\n",
    "Q: What is {{topic}}?\nA: Nothing.\n\n",
    "Input: a\nOutput: b\n\nInput: c\nOutput:",
    "Anna: hello there\nBen: hi, 5 pm?\nAnna: yes\nBen: good\n",
    "---\n",
    "한국어 문장입니다. 서울에는 1,000만 명이 산다. 값은 3만 원이다.\n",
    "\\uc11c\\uc6b8\\uc5d0\\uc11c 12 km \\u0041\\\\u1234\n",
    "東京は大きい。人口は1400万人です！\n",
    "שלום עולם. כמה זה עולה? \u202e12\u202c\n",
    "👩\u200d👩\u200d👧 emoji 🇰🇷 e\u0301 ok\n",
    "Windows line\r\nand another  \r\n\r\n\r\n\r\n",
    "\n\n\n\n",
    "    \t  \n",
    "mail a.b@example.com or pay -$5.00 by 2026-11-21, v1.2.3-rc.1 or 50 °C.\n",
    "%(user)s wrote <TAG attr='1'> to %(them)05d\n",
    "<!-- compress: keep -->as  it   is {x}<!-- /compress -->",
    '<!-- compress: document title="T" -->a text of {x}. And more.<!-- /compress -->\n',
    "<!-- /compress -->",
    "\ufeff",
    "\x0b\x0c\x1c\u2028\x85",
    "// a comment\nint a = 1; /* more */\n#include <x>\n",
    "What is the length of the Nile?\n",
    "Answer:",
)
REPEATED = (
    "The engine is checked before each flight, and the book says so on page 12. " * 4 + "\n\n"
)
SIGNS = "`~#<>{}[]|-\"'\\:,.%$@ \n\r\t0aQ가😀\u200d\u0301"


def make_text(rng: random.Random) -> str:
    """Fragments and random signs in any order; sometimes empty, sometimes a megabyte in a line."""
    if rng.random() < 0.0008:
        unit = rng.choice(["x", "word {x} ", "A sentence of 7 words. ", "가나다 ", '{"a": 1}, '])
        return unit * (1_000_000 // len(unit))
    parts: list[str] = []
    for _ in range(rng.randint(0, 9)):
        kind = rng.random()
        if kind < 0.75:
            parts.append(rng.choice(FRAGMENTS))
        elif kind < 0.85:
            parts.append("".join(rng.choices(SIGNS, k=rng.randint(1, 40))))
        elif kind < 0.93:
            parts.append("".join(make_character(rng) for _ in range(rng.randint(1, 12))))
        else:
            parts.append(REPEATED)
    text = "".join(parts)
    return text.replace("\n", "\r\n") if rng.random() < 0.08 else text


def make_character(rng: random.Random) -> str:
    """Any character but NUL and lone surrogates."""
    code = rng.randint(1, 0x10FFFF)
    return chr(code) if not 0xD800 <= code < 0xE000 else "\uffff"


def make_json(rng: random.Random, depth: int = 0) -> object:
    """A value with numbers, texts and escapes that a careless writer would change."""
    kind = rng.randint(0, 6 if depth < 3 else 4)
    if kind == 5:
        return [make_json(rng, depth + 1) for _ in range(rng.randint(0, 4))]
    if kind == 6:
        return {rng.choice(SIGNS) + str(at): make_json(rng, depth + 1) for at in range(3)}
    text = "".join(rng.choices(SIGNS, k=rng.randint(0, 12)))
    return [None, rng.random() < 0.5, rng.randint(-(10**18), 10**18), rng.random(), text][kind]


def make_settings(rng: random.Random) -> CompressSettings:
    """Any tiers, rate, order and embedder that need no model."""
    return CompressSettings(
        tiers=tuple(tier for tier in TIERS if rng.random() < 0.8),
        rate=rng.choice(RATES),
        embedder="static" if rng.random() < 0.2 else "none",
        reorder=rng.choice(["none", "none", "none", "first", "ends"]),
        auto=rng.random() < 0.15,
        docstrings=rng.random() < 0.5,
        protect=PATTERNS,
    )


def check(prompt: Prompt, original: str, settings: CompressSettings, counts: Counter[str]) -> None:
    """Everything that must hold of one prompt, strictly where its budget can be kept."""
    try:
        made = compress_prompt(prompt, settings)
        assert made.budget_tokens is None or made.tokens_after <= made.budget_tokens, "budget"
        counts["budgets kept"] += made.budget_tokens is not None
    except UsageError as error:
        assert error.hint, "a refusal without a hint"
        assert settings.rate is not None, "a refusal without a budget"
        counts["budgets refused"] += 1
        made = compress_prompt(prompt, settings, strict=False)
    counted = sum(count_text(part.text, made.model) for part in made.parts)
    assert counted == made.tokens_after, "tokens"
    assert restore(made.text, json.loads(json.dumps(made.describe()))) == original, "restore"
    counts["restored"] += 1
    check_spans(made, counts)


def check_spans(made: CompressedPrompt, counts: Counter[str]) -> None:
    """Protected spans stay, or go as a whole with what they stood in; pieces cover the text."""
    for part in made.parts:
        text, became = part.part.text, part.text
        assert "".join(text[piece.start : piece.end] for piece in part.pieces) == text, "cover"
        # The markers of a fence go with all that stood between them.
        gone = find_emptied(part.part, part.pieces)
        wanted = Counter(
            text[span.start : span.end]
            for span in part.part.protected
            if span.reason in ALWAYS and not (span.reason == "fence" and is_within(span, gone))
        )
        for words, times in wanted.items():
            assert became.count(words) >= times, f"the protected {words!r}"
        counts["protected spans"] += wanted.total()
        counts["spans kept intact"] += check_intact(part)
        for item in part.part.segments:
            if item.locked and not is_markup(item) and not is_within(item, gone):
                assert text[item.start : item.end] in became, "a locked segment"
                counts["locked segments"] += 1


def is_within(item: Segment | Span, ranges: Sequence[tuple[int, int]]) -> bool:
    """Whether it is within one of these ranges."""
    return any(start <= item.start and item.end <= end for start, end in ranges)


def check_intact(part: CompressedPart) -> int:
    """No URL, address or number is altered: it is there, or all that covered it is gone."""
    text, at, checked = part.part.text, 0, 0
    for span in part.part.protected:
        while part.pieces[at].end <= span.start:
            at += 1
        after = at
        while part.pieces[after].end < span.end:
            after += 1
        covering = part.pieces[at : after + 1]
        if any(piece.reason in (REPEAT, MARKUP) for piece in covering):
            continue
        became = "".join(piece.text for piece in covering)
        words = text[span.start : span.end]
        assert not became or words in became or span.reason in ALWAYS, f"altered {words!r}"
        checked += bool(became)
    return checked


def check_json(rng: random.Random, counts: Counter[str]) -> None:
    """A JSON document alone, through the lossless tier."""
    value = make_json(rng)
    if not isinstance(value, (list, dict)):
        value = [value]
    text = json.dumps(value, indent=rng.choice([None, 1, 4]), ensure_ascii=rng.random() < 0.5)
    settings = CompressSettings(tiers=("lossless",), repeats=False)
    made = compress_prompt(read_prompt(text, shape="text"), settings)
    assert json.loads(made.text) == value, "JSON"
    assert restore(made.text, made.describe()) == text, "restore"
    counts["JSON documents equal"] += 1


def check_one(rng: random.Random, counts: Counter[str]) -> None:
    """One prompt of some shape."""
    shape = rng.random()
    if shape < 0.15:
        check_json(rng, counts)
        return
    settings = make_settings(rng)
    if shape < 0.35:
        roles = rng.choices(["system", "user", "assistant", "tool"], k=rng.randint(0, 4))
        value = [{"role": role, "content": make_text(rng)} for role in roles]
        prompt = build_prompt(value, patterns=PATTERNS)
        original = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        counts["chats"] += 1
    else:
        original = make_text(rng)
        prompt = read_prompt(original, shape="text", patterns=PATTERNS)
        counts["texts"] += 1
        counts["texts of a megabyte"] += len(original) > 900_000
    check(prompt, original, settings, counts)


def main() -> int:
    """Print the counts; 1 if anything did not hold, or it took too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    failed: list[int] = []
    start = time.perf_counter()
    for at in range(options.prompts):
        try:
            check_one(random.Random(options.seed * 1_000_003 + at), counts)
        except Exception:
            failed.append(at)
            if len(failed) <= 3:
                print(f"prompt {at}:", file=sys.stderr)
                traceback.print_exc()
    seconds = time.perf_counter() - start
    print(f"{options.prompts:,} generated prompts")
    for name, value in sorted(counts.items()):
        print(f"  {name:<22}{value:>12,}")
    print(f"  {'failed':<22}{len(failed):>12,}  must be 0 {failed[:10] or ''}")
    print(f"  {'seconds':<22}{seconds:>12.0f}  < {LIMIT_SECONDS}")
    return 1 if failed or seconds >= LIMIT_SECONDS else 0


if __name__ == "__main__":
    sys.exit(main())
