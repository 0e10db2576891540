"""Kill writers of an index at random moments, and let two write at once.

    python benchmarks/index_faults.py [--kills 200]

A child process builds, adds to, prunes and records hits in one index, and prints a line after
each completed operation. It is killed (SIGKILL) at random. The index must then open, and hold
what it held after the last operation that was printed, or after the one that was being done.
Ends in 1 when it does not.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from frugalctl.errors import OutputError
from frugalctl.levers.semantic_cache.index import (
    IndexSettings,
    IndexWriter,
    add_entries,
    build_index,
    open_index,
    prune_index,
    record_hits,
)

DIMENSION = 64
SCOPE = "0" * 32
MADE_WITH = {"fingerprint": "f", "normalizer": "n"}
SETTINGS = IndexSettings(embedder="static", dimension=DIMENSION, **MADE_WITH)
MOST_DELAY_S = 0.25

State = dict[str, int]


def make(number: int, count: int) -> tuple[pa.Table, np.ndarray]:
    """Entries that say which operation they come from."""
    keys = [f"{number}-{at}" for at in range(count)]
    table = pa.table(
        {
            "text": keys,
            "key": keys,
            "response": [f"answer {key}" * 20 for key in keys],
            "scope": [SCOPE] * count,
            "tags": [[f"op{number}", f"part{at % 3}"] for at in range(count)],
        }
    )
    vectors = np.random.default_rng(number).standard_normal((count, DIMENSION))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return table, vectors.astype(np.float32)


def choose(number: int) -> tuple[str, int]:
    """What the operation of that number does, and with how many entries."""
    chance = random.Random(number)
    name = "build" if number == 0 else chance.choice(["build", "stream", "add", "prune", "hit"])
    return name, chance.randrange(100, 3000)


def do(path: Path, number: int) -> None:
    """Do the operation of that number."""
    name, count = choose(number)
    if name == "build":
        build_index(path, *make(number, count), SETTINGS)
    elif name == "stream":
        table, vectors = make(number, count)
        with IndexWriter(path, SETTINGS) as writer:
            for start in range(0, count, 500):
                writer.write(table[start : start + 500], vectors[start : start + 500])
    elif name == "add":
        add_entries(path, *make(number, count), **MADE_WITH)
    elif name == "prune":
        prune_index(path, tags=[f"part{number % 3}"])
    else:
        record_hits(path, open_index(path).entry_ids[:50], number)


def expect(state: State, number: int) -> State:
    """What an index with these keys and hits holds after the operation."""
    name, count = choose(number)
    new = {f"{number}-{at}": 0 for at in range(count)}
    if name in ("build", "stream"):
        return new
    if name == "add":
        return state | new
    if name == "prune":
        gone = number % 3
        return {key: hits for key, hits in state.items() if int(key.split("-")[1]) % 3 != gone}
    first = set(sorted(state, key=lambda key: tuple(map(int, key.split("-"))))[:50])
    return {key: hits + (key in first) for key, hits in state.items()}


def read(path: Path) -> State:
    """The keys of an index with their hits, once all of it is seen to be whole."""
    index = open_index(path)
    table = index.read_table()
    for row in (0, len(index) - 1):
        if len(index):
            number, at = map(int, table.column("key")[row].as_py().split("-"))
            assert (index.vectors[row] == make(number, at + 1)[1][at]).all(), "vectors"
    return dict(zip(table.column("key").to_pylist(), index.hits.tolist(), strict=True))


def kill_writers(path: Path, kills: int, seed: int) -> Iterator[tuple[str, bool]]:
    """Kill that many writers; the operation that each was at, and whether it had taken effect."""
    chance = random.Random(seed)
    do(path, 0)
    state, number = expect({}, 0), 1
    for _ in range(kills):
        child = subprocess.Popen(
            [sys.executable, __file__, "--child", str(path), str(number)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(chance.uniform(0, MOST_DELAY_S))
        child.kill()
        for line in child.stdout.read().splitlines():
            assert int(line) == number, line
            state, number = expect(state, number), number + 1
        child.wait()
        found, after = read(path), expect(state, number)
        if found not in (state, after):
            raise SystemExit(f"lost: killed in {choose(number)} number {number}")
        yield choose(number)[0], found == after
        state = found
        number += 1
        while expect(state, number) == state:
            number += 1


def write_together(path: Path, wait_s: float, additions: int) -> tuple[int, int]:
    """Two processes add at once; how many additions were done, and refused in plain words."""
    build_index(path, *make(0, 10), SETTINGS)
    children = [
        subprocess.Popen(
            [
                sys.executable,
                __file__,
                "--adder",
                str(path),
                str(first),
                str(wait_s),
                str(additions),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        for first in (1000, 2000)
    ]
    lines = [line for child in children for line in child.communicate()[0].splitlines()]
    assert all(child.returncode == 0 for child in children), "a writer failed otherwise"
    done = [int(line) for line in lines if line.isdigit()]
    refused = [line for line in lines if "is being written by another process" in line]
    assert len(done) + len(refused) == 2 * additions, lines
    held = {key.split("-")[0] for key in read(path)}
    assert held == {"0", *map(str, done)}, "an addition was lost"
    return len(done), len(refused)


def run_child(path: Path, number: int) -> None:
    """Do operations until killed."""
    print("ready", flush=True)
    while True:
        do(path, number)
        print(number, flush=True)
        number += 1


def run_adder(path: Path, first: int, wait_s: float, additions: int) -> None:
    """Add that many times."""
    for number in range(first, first + additions):
        try:
            add_entries(path, *make(number, 5), **MADE_WITH, wait_s=wait_s)
            print(number, flush=True)
        except OutputError as error:
            print(str(error), flush=True)


def main() -> None:
    """Run all, and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--additions", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--adder", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        run_child(Path(options.child[0]), int(options.child[1]))
    if options.adder:
        path, first, wait_s, additions = options.adder
        return run_adder(Path(path), int(first), float(wait_s), int(additions))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "idx"
        met = list(kill_writers(path, options.kills, options.seed))
        left = [file for file in Path(folder).iterdir() if file.name not in ("idx", ".idx.lock")]
        do(path, 0)
        assert not [f for f in Path(folder).iterdir() if f.name not in ("idx", ".idx.lock")]
        print(f"{len(met)} kills: the index opened, with the old or the new content, each time")
        for name in sorted({name for name, _ in met}):
            of = [took for kind, took in met if kind == name]
            print(f"  in {name}: {len(of)}, of which {sum(of)} had taken effect")
        print(f"  {len(left)} temporary folders left at the end, removed by the next writer")
        for wait_s in (30.0, 0.0):
            done, refused = write_together(Path(folder) / "two", wait_s, options.additions)
            print(f"two writers, waiting {wait_s:g} s: {done} additions done, {refused} refused")
            assert not (wait_s and refused), "a writer did not wait"
    return None


if __name__ == "__main__":
    main()
