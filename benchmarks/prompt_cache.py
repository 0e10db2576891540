"""Prompt caches: the TTL engine on 24M blocks, whole conversations, and peers on a public trace.

    python benchmarks/prompt_cache.py [--requests 1000000] [--traces ../shared/data/traces]
        [--peers FOLDER]

Limits: 3M blocks a second on one core, 2 GB, tau-bench end to end under 5 s, hit figures equal to
those of the peers. `--peers` is a folder with the executables of `llmtrafficlens` and
`kvcache-simulator`; without them, or without the traces, that part is left out and said so.
"""

import argparse
import gzip
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import median_seconds, report, run_in_turns

TURNS = 10
SYSTEM_BLOCKS = 4
BLOCK_TOKENS = 512
TTL_S = 300
LOG = "mooncake_conversation.jsonl.gz"
CHATS = "taubench_airline_sessions.jsonl.gz"
READ_CHATS = """
import sys
from frugalctl.levers.prompt_cache import parse_cache_spec, read_prompts, simulate
from frugalctl.log.read import ReadOptions, read_log
from frugalctl.log.stream import on_disk

with on_disk([sys.argv[1]]) as sources:
    prompts = read_prompts(read_log(sources, ReadOptions()))
simulate(prompts, parse_cache_spec("anthropic:5m"))
"""


def make_trace(requests: int):
    """Conversations of ten turns that begin with the same system prompt, 24 blocks a request."""
    from frugalctl.levers.prompt_cache.prompts import Prompts
    from frugalctl.levers.prompt_cache.texts import TextBuilder

    rng = np.random.default_rng(0)
    sessions = requests // TURNS
    starts = rng.uniform(0, 86_400, (sessions, 1))
    times = np.sort(starts + rng.exponential(120, (sessions, TURNS)).cumsum(axis=1), axis=1)
    order = np.argsort(times.ravel(), kind="stable")
    session, turn = np.divmod(order, TURNS)
    counts = SYSTEM_BLOCKS + 2 + 4 * turn
    ends = np.concatenate(([0], np.cumsum(counts)))
    position = np.arange(ends[-1]) - np.repeat(ends[:-1], counts)
    blocks = np.repeat(session * 64, counts) + position + SYSTEM_BLOCKS
    np.copyto(blocks, position, where=position < SYSTEM_BLOCKS)
    none = np.zeros(len(order), dtype=np.int64)
    return Prompts(
        time_us=(times.ravel()[order] * 1e6).astype(np.int64),
        begun_us=none,
        done_us=none,
        tenants=none,
        models=none,
        input_tokens=counts * BLOCK_TOKENS,
        output_tokens=none,
        segment_ends=np.zeros(len(order) + 1, dtype=np.int64),
        segments=none[:0],
        marks=none[:0],
        answers=none - 1,
        block_ends=ends,
        blocks=blocks,
        block_tokens=none + BLOCK_TOKENS,
        model_names=("",),
        texts=TextBuilder().build(),
    )


def match_with_dict(times_us, ends, blocks) -> int:
    """Blocks read by the plainest engine there is: a dict of last uses."""
    used_us = {}
    read = 0
    for row, now_us in enumerate(times_us):
        live = True
        for block in blocks[ends[row] : ends[row + 1]]:
            then_us = used_us.get(block)
            live = live and then_us is not None and now_us - then_us <= TTL_S * 1_000_000
            read += live
            used_us[block] = now_us
    return read


def measure_trace(requests: int) -> None:
    """Blocks a second, memory, and the ratio to a plain dict."""
    from frugalctl.levers.prompt_cache import parse_cache_spec, simulate

    prompts = make_trace(requests)
    settings = parse_cache_spec(f"blocks:ttl={TTL_S}")
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        simulation = simulate(prompts, settings)
        seconds.append(time.perf_counter() - start)
    ours = sorted(seconds)[1]
    fixed = parse_cache_spec(f"blocks:ttl={TTL_S},refresh=false")
    start = time.perf_counter()
    simulate(prompts, fixed)
    fixed_seconds = time.perf_counter() - start
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    times, ends = prompts.time_us.tolist(), prompts.block_ends.tolist()
    blocks = prompts.blocks.tolist()
    start = time.perf_counter()
    read = match_with_dict(times, ends, blocks)
    theirs = time.perf_counter() - start
    ours_read = int(simulation.outcome.read_tokens.sum()) // BLOCK_TOKENS
    if read != ours_read:
        raise SystemExit(f"{ours_read} blocks read, {read} by the plain dict")
    count = len(blocks)
    report(
        f"TTL engine, {len(prompts):,} requests, {count:,} blocks, {read / count:.3f} read",
        [
            ("frugalctl", f"{count / ours / 1e6:.1f} M/s", "limit 3 M blocks/s"),
            ("plain dict", f"{count / theirs / 1e6:.1f} M/s", "same blocks read"),
            ("ratio", f"{theirs / ours:.1f}", ""),
            ("peak memory, trace included", f"{megabytes:,.0f} MB", "limit 2,000 MB"),
            ("frugalctl without refresh", f"{count / fixed_seconds / 1e6:.1f} M/s", ""),
        ],
    )


def measure_chats(file: Path) -> None:
    """Read, tokenise and simulate whole conversations, as a process of its own."""
    command = [sys.executable, "-c", READ_CHATS, str(file)]
    runs = run_in_turns({"chats": command}, 3)["chats"]
    report(
        f"{file.name}: read, tokenise, simulate",
        [("frugalctl", f"{median_seconds(runs):.2f} s", "limit 5 s")],
    )


def measure_peers(file: Path, folder: str | None) -> None:
    """Hit figures and times of two published simulators on the same trace, read included.

    Both count the second half of the requests, after the first has warmed the cache, and so do
    we here. llmtrafficlens counts a partly filled last block as a whole one and rounds to 4
    places; for it our reads are rounded up to blocks.
    """
    from frugalctl.levers.prompt_cache import parse_cache_spec, read_prompts, simulate
    from frugalctl.log.read import ReadOptions, read_log
    from frugalctl.log.stream import on_disk

    start = time.perf_counter()
    with on_disk([str(file)]) as sources:
        prompts = read_prompts(read_log(sources, ReadOptions()))
    outcome = simulate(prompts, parse_cache_spec("blocks")).outcome
    ours_s = time.perf_counter() - start
    half = slice(len(prompts) // 2, None)
    reads, total = outcome.read_tokens[half], int(outcome.input_tokens[half].sum())
    exact = reads.sum() / total
    whole = (-(-reads // BLOCK_TOKENS) * BLOCK_TOKENS).sum() / total
    rows = [("frugalctl, infinite cache", f"{ours_s:.2f} s", f"hit rate {exact:.6f}")]
    with tempfile.TemporaryDirectory() as temporary:
        plain = Path(temporary) / "trace.jsonl"
        plain.write_bytes(gzip.decompress(file.read_bytes()))
        for name, ask, ours, digits in (
            ("llmtrafficlens", ask_lens, whole, 4),
            ("kvcache-simulator", ask_kvcache, exact, 9),
        ):
            program = shutil.which(name, path=folder)
            if program is None:
                rows.append((name, "absent", "pip install it and say where with --peers"))
                continue
            start = time.perf_counter()
            rate = ask(program, plain)
            seconds = time.perf_counter() - start
            if round(rate, digits) != round(ours, digits):
                raise SystemExit(f"{name} finds {rate}, we {ours}")
            ratio = f"{seconds / ours_s:.1f} times ours"
            rows.append((name, f"{seconds:.2f} s", f"hit rate {rate:.6g}, equal; {ratio}"))
    report(f"{file.name}, second half of the requests", rows)


def ask_lens(program: str, trace: Path) -> float:
    """The hit rate ceiling that llmtrafficlens reports."""
    out = trace.parent / "lens"
    command = [program, "profile", str(trace), "--format", "mooncake", "-o", str(out)]
    command += ["--salt-file", str(trace.parent / "salt")]
    subprocess.run(command, check=True, capture_output=True)
    return json.loads(out.with_suffix(".json").read_text())["reuse_potential"]["ceiling"]


def ask_kvcache(program: str, trace: Path) -> float:
    """The hit rate ceiling that kvcache-simulator reports."""
    command = [program, "run", "--trace", str(trace), "--model", "llama-3.1-70b"]
    command += ["--block-size", str(BLOCK_TOKENS), "--backend", "python", "--format", "json"]
    command += ["--budgets-gib", "1", "--policies", "lru", "--no-progress"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["hitRateCeiling"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--traces", type=Path, default=Path("../shared/data/traces"))
    parser.add_argument("--peers", default=None, help="the folder of the peers' executables")
    arguments = parser.parse_args()
    measure_trace(arguments.requests)
    for name, measure in (
        (CHATS, measure_chats),
        (LOG, lambda file: measure_peers(file, arguments.peers)),
    ):
        file = arguments.traces / name
        if file.exists():
            measure(file)
        else:
            report(name, [("left out", "", f"{file} is not here")])


if __name__ == "__main__":
    main()
