"""Tokens saved by each lossless and structural step, on data made here; o200k tokens.

The bars are the figures of the prototype, and hold for data of the same kind, made by other code.
The last columns are the time of both tiers, and the speed in tokens of the original.

    python benchmarks/compress_structural.py
"""

from __future__ import annotations

import argparse
import csv
import functools
import inspect
import json
import random
import statistics
import sys
import time
from collections.abc import Callable

from frugalctl.levers.compress import lossless, structural
from frugalctl.levers.compress.pieces import Kind, Part, Piece, Segment
from frugalctl.levers.compress.protect import find_protected, verify_protected
from frugalctl.levers.compress.settings import CompressSettings
from frugalctl.tokens import count_text

MODEL = "gpt-5.4-mini"
OFF = {
    name: False
    for name in (
        "whitespace",
        "json",
        "escapes",
        "repeats",
        "tables",
        "records",
        "html",
        "comments",
    )
}
OFF |= {"logs": False}
WORDS = (
    "account order price plan refund ship budget team report model token cache prompt saving cost "
    "region client server policy answer delivery invoice contract meeting update customer"
).split()
KOREAN = (
    "주문 배송 환불 요금제 계약 보고서 고객 예산 회의 답변 모델 토큰 절약 비용 서버 정책".split()
)
CITIES = ["Seoul", "Busan", "Berlin", "Lyon", "Austin"]


def make_sentence(rng: random.Random, words: list[str] = WORDS) -> str:
    """Six to sixteen words."""
    return " ".join(rng.choices(words, k=rng.randint(6, 16))).capitalize() + "."


def make_records(rng: random.Random) -> list[dict[str, object]]:
    """Orders, as an API would return them."""
    return [
        {
            "id": 10_000 + at,
            "customer": " ".join(rng.choices(WORDS, k=2)).title(),
            "city": rng.choice(CITIES),
            "amount": round(rng.uniform(1, 900), 2),
            "paid": rng.random() < 0.7,
            "created_at": f"2026-0{rng.randint(1, 9)}-1{rng.randint(0, 9)}",
            "note": None if rng.random() < 0.5 else make_sentence(rng),
        }
        for at in range(400)
    ]


def make_page(rng: random.Random, site: str = "") -> str:
    """A page of articles with icons and links, navigation, a table, styles and scripts.

    Links to another site keep their addresses, those within a site do not.
    """
    links = "".join(
        f'<li class="nav-item nav-{at}"><a class="nav-link px-3" href="/s/{at}?ref=top" '
        f'data-track="nav-{at}">{rng.choice(WORDS)}</a></li>\n'
        for at in range(20)
    )
    articles = "".join(
        f'<section id="s{at}" class="card mt-4 mb-4"><div class="card-body"><h2 class="card-title">'
        f'<svg class="icon" viewBox="0 0 16 16"><path d="M{at} 8a8 8 0 1 1 16 0A8 8 0 0 1 0 8z"/>'
        f'</svg>{make_sentence(rng)}</h2>\n<p class="text-muted" style="margin:0 0 1rem">'
        f'{make_sentence(rng)} <a href="{site}/{rng.random()}" rel="noopener" '
        f'target="_blank">{rng.choice(WORDS)}</a> {make_sentence(rng)}</p></div></section>\n'
        for at in range(60)
    )
    cells = "".join(
        f'<tr data-id="{at}"><td class="cell">{rng.choice(WORDS)}</td>'
        f'<td class="cell num">{rng.randint(1, 9999)}</td></tr>\n'
        for at in range(60)
    )
    style = "".join(f".c{at} {{ margin: {at}px; color: #3{at:02d}a }}\n" for at in range(60))
    return (
        f"<!DOCTYPE html>\n<html lang='en'><head><title>{make_sentence(rng)}</title>\n<style>"
        f"{style}</style>\n<script>var q = []; function t() {{ q.push(arguments) }}</script>"
        f"</head>\n<body><nav><ul>{links}</ul></nav><main>{articles}"
        f"<table class='table'>{cells}</table></main></body></html>\n"
    )


def make_table(rng: random.Random) -> str:
    """A Markdown table, padded so that its columns stand below each other."""
    rows = [["customer", "city", "amount", "orders"]]
    rows += [
        [
            " ".join(rng.choices(WORDS, k=2)),
            rng.choice(CITIES),
            f"{rng.uniform(1, 900):.2f}",
            str(rng.randint(0, 99)),
        ]
        for _ in range(200)
    ]
    widths = [max(len(row[at]) for row in rows) for at in range(4)]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines) + "\n"


def make_log(rng: random.Random) -> str:
    """Lines of five templates, and now and then an error of its own."""
    lines: list[str] = []
    for at in range(2000):
        stamp = f"2026-03-01T{at // 3600:02d}:{at // 60 % 60:02d}:{at % 60:02d}.{at % 1000:03d}Z"
        number = rng.randint(1, 99_999)
        lines.append(
            f"{stamp} "
            + rng.choice(
                [
                    f"INFO  worker-{at % 4} finished job {number} in {rng.randint(1, 900)} ms",
                    f'INFO  api GET "/v1/orders/{number}" 200 {rng.randint(5, 60)}ms',
                    f"DEBUG cache hit key=order:{number} ttl=300",
                    f"WARN  pool is at {rng.randint(80, 99)} percent",
                    "INFO  heartbeat ok",
                    f"ERROR {make_sentence(rng)}" if rng.random() < 0.1 else "INFO  heartbeat ok",
                ]
            )
        )
    return "\n".join(lines) + "\n"


def make_code() -> str:
    """Modules of Python's own library; comments are 6 to 46 % of its others, 15 % in the median."""
    return "\n\n".join(inspect.getsource(module) for module in (argparse, csv, functools))


def make_prose(rng: random.Random) -> str:
    """Paragraphs with blank lines and trailing spaces as word processors leave them."""
    return "".join(make_sentence(rng) * 3 + "   \n" + "\n" * rng.randint(1, 4) for _ in range(300))


def make_repeats(rng: random.Random) -> str:
    """Retrieved passages of which every third one was retrieved before."""
    passages = [" ".join(make_sentence(rng) for _ in range(6)) for _ in range(40)]
    return "\n\n".join(passages + passages[::2])


def measure(
    name: str, text: str, kind: Kind, bar: float, language: str = "", **switches: bool
) -> tuple[bool, list[str]]:
    """One row of the table, and whether the bar is held."""
    segments = (Segment(0, len(text), kind, language=language),)
    part = Part(text, segments=segments, protected=find_protected(text, (), segments))
    settings = CompressSettings(**{**OFF, **switches})
    seconds: list[float] = []
    pieces: list[Piece] = []
    for _ in range(3):
        start = time.perf_counter()
        pieces = lossless.apply(part, [Piece(0, len(text), text)], settings)
        pieces = structural.apply(part, pieces, settings)
        seconds.append(time.perf_counter() - start)
    verify_protected(part, pieces)
    before = count_text(text, MODEL)
    after = count_text("".join(piece.text for piece in pieces), MODEL)
    saved = 1 - after / before
    speed = before / statistics.median(seconds)
    shown = "-" if bar < 0 else f"{bar:.0%}"
    row = [name, f"{before:,}", f"{after:,}", f"{saved:.1%}", shown, f"{speed:,.0f}"]
    return saved >= bar, row


def main() -> int:
    """Print the table; 1 if a bar is missed."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    rng = random.Random(0)
    records = make_records(rng)
    indented = json.dumps(records, indent=2)
    compact = json.dumps(records, separators=(",", ":"))
    korean = json.dumps([make_sentence(rng, KOREAN) for _ in range(200)], separators=(",", ":"))
    escaped: Callable[[], str] = lambda: json.dumps(make_sentence(rng, KOREAN))[1:-1]  # noqa: E731
    prose = "\n".join(escaped() for _ in range(100))
    cases = [
        measure("JSON, indent off", indented, "json", 0.34, json=True),
        measure("JSON records to a table", compact, "json", 0.36, records=True),
        measure("both, from indented", indented, "json", 0.57, json=True, records=True),
        measure("\\u escapes in JSON (Korean)", korean, "json", 0.50, json=True),
        measure("\\u escapes in prose (Korean)", prose, "prose", 0.50, escapes=True),
        measure("HTML to text", make_page(rng), "html", 0.78, html=True),
        measure(
            "HTML, addresses of links",
            make_page(rng, "https://example.org"),
            "html",
            0.73,
            html=True,
        ),
        measure("Python comments", make_code(), "code", 0.15, "python", comments=True),
        measure(
            "and docstrings", make_code(), "code", 0.15, "python", comments=True, docstrings=True
        ),
        measure("padded Markdown table", make_table(rng), "table", 0.24, tables=True),
        measure("log templates", make_log(rng), "log", 0.16, logs=True),
        measure("white space of prose", make_prose(rng), "prose", 0.0, whitespace=True),
        measure("repeated passages", make_repeats(rng), "prose", 0.25, repeats=True),
    ]
    header = ["", "tokens", "after", "saved", "bar", "tokens/s"]
    for row in (header, *(row for _, row in cases)):
        print(f"{row[0]:30}" + "".join(f"{cell:>12}" for cell in row[1:]))
    return 0 if all(held for held, _ in cases) else 1


if __name__ == "__main__":
    sys.exit(main())
