"""How fast prompts are compressed, from the file to the file, and how soon the first is there.

A JSONL batch of real prompts (public question-answering and meeting sets) is read, parsed, counted,
scored and written on one core, lexically and with the bundled static vectors, in this process and
as the command line; tiktoken's own time for the same texts is the limit beside it. All are measured
in turns, and CPU time is what counts, since wall-clock time tells of the neighbours.

    python benchmarks/compress_speed.py [--data ../shared/data] [--rounds 3]
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from measure import frugalctl, report

from frugalctl.levers.compress.pipeline import compress_prompt
from frugalctl.levers.compress.prompt import read_batch
from frugalctl.levers.compress.settings import CompressSettings
from frugalctl.tokens import count, count_text, encode_text

MODEL = "gpt-5.4-mini"
TOKENS_BAR, FIRST_SECONDS_BAR = 200_000, 0.5
RATE = 0.25
SMALL = (
    "Answer in one word.\n\nDocument [1](Title: Rivers) The Nile is 6,650 km long. It flows north. "
    "Boats go up and down.\n\nDocument [2](Title: Peaks) Everest is 8,849 m high. It is cold.\n\n"
    "Question: How long is the Nile?\nAnswer:"
)


def read_rows(path: Path) -> list[dict[str, object]]:
    """The objects of a compressed JSONL file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def make_batch(data: Path) -> Iterator[dict[str, str]]:
    """Lines of a batch: documents and a question, or a meeting and a query."""
    for name in ("nq20", "hotpot"):
        for at, row in enumerate(read_rows(data / f"{name}.jsonl.gz")):
            documents = "\n".join(
                f"Document [{number}](Title: {one['title']}) {one['text']}"
                for number, one in enumerate(row["documents"], 1)
            )
            asked = f"Question: {row['question']}\nAnswer:"
            prompt = f"Answer from the documents only.\n\n{documents}\n\n{asked}"
            yield {"id": f"{name}-{at}", "prompt": prompt}
    for at, row in enumerate(read_rows(data / "qmsum_val.jsonl.gz")):
        turns = "\n".join(
            f"{turn['speaker']}: {turn['content']}" for turn in row["meeting_transcripts"]
        )
        query = row["specific_query_list"][0]["query"]
        yield {"id": f"qmsum-{at}", "prompt": turns, "question": query}


def compress_file(source: Path, target: Path, embedder: str) -> None:
    """The whole way of a batch, as the command line goes it, with nothing counted before."""
    forget_counts()
    settings = CompressSettings(rate=RATE, embedder=embedder, model=MODEL)
    with source.open("rb") as lines, target.open("w", encoding="utf-8") as out:
        for prompt in read_batch(lines, source=str(source)):
            made = compress_prompt(prompt, settings, strict=False)
            assert made.tokens_after <= made.budget_tokens or made.warnings
            tokens = {"before": made.tokens_before, "after": made.tokens_after}
            line = {"id": prompt.id, "compressed": made.value["prompt"], "tokens": tokens}
            out.write(json.dumps(line, ensure_ascii=False) + "\n")


def forget_counts() -> None:
    """So that no round finds what another has counted."""
    count._cache = count._CountCache(count._CACHE_CHARS)


def count_all(texts: list[str]) -> None:
    """What tiktoken alone needs to count the originals."""
    forget_counts()
    for text in texts:
        encode_text(text, MODEL)


def time_cpu(work: Callable[[], object]) -> float:
    """CPU seconds of this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def time_command(command: list[str]) -> float:
    """CPU seconds of a whole process, its start included; its failure is ours."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def time_first_output(command: list[str]) -> float:
    """Seconds from the start of a process to the first byte that it prints."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        first = process.stdout.read(1)
        seconds = time.perf_counter() - start
        process.stdout.read()
    if process.returncode or not first:
        raise SystemExit(f"{' '.join(command)} ended in {process.returncode}")
    return seconds


def main() -> int:
    """Print the figures; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    batch = list(make_batch(options.data / "compress"))
    texts = [line["prompt"] for line in batch]
    tokens = sum(count_text(text, MODEL) for text in texts)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, target, small = folder / "in.jsonl", folder / "out.jsonl", folder / "small.txt"
        source.write_text("".join(json.dumps(line) + "\n" for line in batch), encoding="utf-8")
        small.write_text(SMALL, encoding="utf-8")
        rate = ["--rate", str(RATE)]
        whole = frugalctl("compress", str(source), "--format", "jsonl", *rate, "-o", str(target))
        first = frugalctl("compress", str(small), "--rate", "0.7")
        work: dict[str, Callable[[], float]] = {
            "tiktoken alone": lambda: time_cpu(lambda: count_all(texts)),
        }
        for embedder in ("none", "static"):
            work[f"pipeline, {embedder}"] = lambda embedder=embedder: time_cpu(
                lambda: compress_file(source, target, embedder)
            )
            work[f"command, {embedder}"] = lambda embedder=embedder: time_command(
                [*whole, "--embedder", embedder]
            )
            work[f"first output, {embedder}"] = lambda embedder=embedder: time_first_output(
                [*first, "--embedder", embedder]
            )
        seconds: dict[str, list[float]] = {name: [] for name in work}
        for _ in range(options.rounds):
            for name, measure in work.items():
                seconds[name].append(measure())
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return judge(len(batch), tokens, medians)


def judge(prompts: int, tokens: int, medians: dict[str, float]) -> int:
    """Print each figure beside its bar."""
    rows: list[tuple[str, str, str]] = []
    held = True
    for name, value in medians.items():
        if name.startswith("first"):
            held &= value <= FIRST_SECONDS_BAR
            rows.append((name, f"{value:.2f} s", f"<= {FIRST_SECONDS_BAR} s from the start"))
            continue
        speed = tokens / value
        if name.startswith("tiktoken"):
            rows.append((name, f"{speed:,.0f}/s", "the limit: counting once, and nothing else"))
            continue
        held &= speed >= TOKENS_BAR
        share = medians["tiktoken alone"] / value
        rows.append((name, f"{speed:,.0f}/s", f">= {TOKENS_BAR:,}/s; {share:.0%} of the limit"))
    report(f"{prompts} prompts of {tokens:,} o200k tokens to a quarter; CPU time, one core", rows)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
