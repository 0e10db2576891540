"""Extraction: what survives it, on the half of the data that it was not tuned on, and its speed.

OMP_NUM_THREADS=1 python benchmarks/compress_quality.py --data ../shared/data [--minilm]

Budgets are in o200k tokens of the documents, the whole command's path is taken (parse, protect,
cut, score, choose, verify), and a gold answer survives where its letters stand in the output.
Weights and margins were chosen on every second case from the first (tuned); the others are held
out. Intervals are exact, of 95 %.
"""

import argparse
import gzip
import json
import re
import statistics
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

from korean_cases import make_cases
from measure import report

from frugalctl.embed import load_embedder
from frugalctl.levers.compress import extractive
from frugalctl.levers.compress.caution import joins_facts
from frugalctl.levers.compress.evaluate import Case, bound_share, evaluate, read_cases
from frugalctl.levers.compress.pipeline import compress_prompt
from frugalctl.levers.compress.prompt import build_prompt
from frugalctl.levers.compress.settings import CompressSettings
from frugalctl.tokens.vocabulary import load_encoder

FACTORS = (2, 4, 6)
NQ_BARS = {"none": (97, 94, 91), "static": (98.5, 96.5, 95), "minilm": (99.5, 99, 98)}
ROUNDS = 5
SIDES = "held out {1}, tuned {0}, all {2}"
# The transcribers' marks, such as {vocalsound}, read as placeholders, which are never dropped.
MARK = re.compile(r"\{\w+\}")


Rows = list[tuple[str, str, str]]


def main() -> None:
    """Measure and print beside the bars."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minilm", action="store_true", help="MiniLM on nq20 only: ten minutes")
    parser.add_argument("--no-speed", action="store_true", help="what survives only")
    options = parser.parse_args()
    nq, hotpot, meetings = (read(options.data, name) for name in ("nq20", "hotpot", "qmsum_val"))
    if options.minilm:
        extractive.load_embedder = remember
        report_answers(nq, "minilm")
        return
    for embedder in ("none", "static"):
        report_answers(nq, embedder)
        report(f"hotpot, both documents, embedder {embedder}", measure_hops(hotpot, embedder))
        report(f"qmsum, characters of the spans, {embedder}", measure_spans(meetings, embedder))
        report(f"korean, embedder {embedder}", measure_korean(embedder))
    report("multi-hop warning", measure_warning(nq, hotpot))
    if not options.no_speed:
        report("speed, one core", measure_speed(nq[1::2]))


def report_answers(rows: Sequence[dict], embedder: str) -> None:
    """What survives of the answers at each rate, and with `auto`."""
    settings = CompressSettings(embedder=embedder)
    lines = [
        {"documents": row["documents"], "question": row["question"], "answers": row["answers"]}
        for row in rows
    ]
    halves = [evaluate(make(lines[at::2]), FACTORS, settings).rows for at in (0, 1)]
    figures = [
        (
            f"{tuned.factor:g}x",
            compare(tuned.kept, tuned.cases, held.kept, held.cases),
            f">= {bar} %",
        )
        for tuned, held, bar in zip(*halves, NQ_BARS[embedder], strict=True)
    ]
    report(f"nq20, embedder {embedder}", figures + measure_auto(rows, embedder))


def measure_korean(embedder: str) -> Rows:
    """The same on our Korean cases, where the sentence itself has to survive."""
    found = evaluate(make(make_cases()), FACTORS, CompressSettings(embedder=embedder)).rows
    limits = ("", ">= 99 % (60 cases)", "")
    return [
        (f"{row.factor:g}x", share(row.kept, row.cases), limit)
        for row, limit in zip(found, limits, strict=True)
    ]


def measure_auto(rows: Sequence[dict], embedder: str) -> Rows:
    """What `auto` keeps without a budget, and whether the answer is in it."""
    settings = CompressSettings(embedder=embedder, auto=True)
    kept, after, before = [], 0, 0
    for row in rows:
        made = compress_prompt(prompt_of(row), settings)
        kept.append(any(answer in made.parts[0].text for answer in row["answers"]))
        before, after = before + made.tokens_before, after + made.tokens_after
    return [("auto", compare_halves(kept), f"about 99 %; {before / after:.1f}x fewer tokens")]


def measure_hops(rows: Sequence[dict], embedder: str) -> Rows:
    """The share of questions that keep something of both gold documents."""
    figures = []
    for factor in (2, 3, 4):
        settings = CompressSettings(embedder=embedder, rate=1 / factor)
        kept = []
        for row in rows:
            text = compress_prompt(prompt_of(row), settings).parts[0].text
            kept.append(all(f"(Title: {title})" in text for title in row["gold_titles"]))
        limit = {2: ">= 80 % (prototype 80)", 3: "(67)", 4: "(56): not safe"}[factor]
        figures.append((f"{factor}x", compare_halves(kept), limit))
    return figures


def measure_spans(rows: Sequence[dict], embedder: str) -> Rows:
    """The mean share of the characters of the relevant turns that are kept, by query."""
    halves = [cover_queries(rows[at::2], embedder) for at in (0, 1)]
    figures = []
    for factor, limit in zip(FACTORS, (78, 61, 52), strict=True):
        tuned, held = halves[0][factor], halves[1][factor]
        texts = [f"{100 * statistics.fmean(one):.1f} %" for one in (tuned, held, tuned + held)]
        figures.append((f"{factor}x", SIDES.format(*texts), f">= {limit} %"))
    return figures


def cover_queries(rows: Sequence[dict], embedder: str) -> dict[int, list[float]]:
    """That share of each query of some meetings, by factor."""
    kept: dict[int, list[float]] = {factor: [] for factor in FACTORS}
    for row in rows:
        text, starts = "", []
        for turn in row["meeting_transcripts"]:
            starts.append(len(text))
            text += f"{turn['speaker']}: {MARK.sub('', turn['content'])}\n"
        starts.append(len(text))
        prompt = build_prompt({"prompt": text})
        for query in row["specific_query_list"]:
            spans = [
                (starts[int(first)], starts[int(last) + 1])
                for first, last in query["relevant_text_span"]
            ]
            for factor in FACTORS:
                settings = CompressSettings(embedder=embedder, rate=1 / factor)
                made = compress_prompt(prompt, settings, query["query"])
                kept[factor].append(cover(made.parts[0].pieces, spans, len(text)))
    return kept


def measure_warning(single: Sequence[dict], several: Sequence[dict]) -> Rows:
    """How often the warning comes where it should, and where it should not."""
    return [
        (name, share(sum(joins_facts(row["question"]) for row in rows), len(rows)), limit)
        for name, rows, limit in (
            ("hotpot warned", several, "more is better"),
            ("nq20 warned", single, "fewer is better"),
        )
    ]


def measure_speed(rows: Sequence[dict]) -> Rows:
    """o200k tokens a second of the whole path at 4x, and of tiktoken's counting alone."""
    texts = [prompt_of(row).parts[0].text for row in rows]
    encode = load_encoder("o200k_base")
    tokens = sum(len(encode(text)) for text in texts)
    figures = []
    for embedder in ("none", "static"):
        settings = CompressSettings(embedder=embedder, rate=0.25)
        seconds = time_median(lambda s=settings: [compress_prompt(prompt_of(r), s) for r in rows])
        figures.append((embedder, f"{tokens / seconds:,.0f}/s", ">= 200,000/s"))
    seconds = time_median(lambda: [encode(text) for text in texts])
    return [*figures, ("counting", f"{tokens / seconds:,.0f}/s", "the limit: tiktoken, once")]


@lru_cache
def remember(spec: str):
    """An embedder that embeds a prompt once for all rates."""
    embedder = load_embedder(spec)
    encode = lru_cache(lambda texts: embedder.encode(texts))
    return SimpleNamespace(encode=lambda texts: encode(tuple(texts)))


def compare_halves(kept: Sequence[bool]) -> str:
    """Shares of cases in their order, of which every second one was tuned on."""
    tuned, held = kept[::2], kept[1::2]
    return compare(sum(tuned), len(tuned), sum(held), len(held))


def compare(tuned: int, tuned_cases: int, held: int, held_cases: int) -> str:
    """The shares kept of each half and of both."""
    every = share(tuned + held, tuned_cases + held_cases)
    return SIDES.format(f"{100 * tuned / tuned_cases:.1f} %", share(held, held_cases), every)


def share(kept: int, cases: int) -> str:
    """A share with its exact interval."""
    low, high = bound_share(kept, cases)
    return f"{100 * kept / cases:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def cover(pieces: Sequence, spans: Sequence[tuple[int, int]], size: int) -> float:
    """The share of the spans' characters that stand in pieces which are kept."""
    kept = bytearray(size)
    for piece in pieces:
        if piece.text:
            kept[piece.start : piece.end] = b"\1" * (piece.end - piece.start)
    found = sum(sum(kept[start:end]) for start, end in spans)
    return found / sum(end - start for start, end in spans)


def prompt_of(row: dict):
    """The prompt of a row with documents and a question."""
    return make([{"documents": row["documents"], "question": row["question"], "answers": "-"}])[
        0
    ].prompt


def make(lines: Sequence[dict]) -> list[Case]:
    """Cases of decoded lines."""
    return list(read_cases((json.dumps(line).encode() for line in lines), source="benchmark"))


def time_median(work: Callable[[], object]) -> float:
    """CPU seconds, so that other processes do not count."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times)


def read(data: Path, name: str) -> list[dict]:
    """The rows of a file of the shared data."""
    with gzip.open(data / "compress" / f"{name}.jsonl.gz", "rt") as file:
        return [json.loads(line) for line in file]


if __name__ == "__main__":
    main()
