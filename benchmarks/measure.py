"""What the benchmarks share: commands as whole processes, medians, a table."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """One run of a command: wall-clock seconds, peak resident megabytes."""

    seconds: float
    megabytes: float


def run(command: Sequence[str]) -> Run:
    """Run a command to its end; its output is dropped, its failure is ours."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended in {process.returncode}")
    return Run(seconds, usage.ru_maxrss / 1024)


def run_in_turns(commands: dict[str, Sequence[str]], rounds: int) -> dict[str, list[Run]]:
    """Run the commands one after the other, many times, so that noise meets all of them."""
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for command in commands.values():
        run(command)
    for _ in range(rounds):
        for name, command in commands.items():
            runs[name].append(run(command))
    return runs


def frugalctl(*arguments: str) -> list[str]:
    """The command line, by this interpreter."""
    return [sys.executable, "-m", "frugalctl", *arguments]


def median_seconds(runs: list[Run]) -> float:
    """The median of their times."""
    return statistics.median(item.seconds for item in runs)


def most_megabytes(runs: list[Run]) -> float:
    """The largest of their peaks."""
    return max(item.megabytes for item in runs)


def report(title: str, rows: Sequence[tuple[str, str, str]]) -> None:
    """Print what was measured, and the limit that it is held against."""
    width = max(len(name) for name, _, _ in rows)
    print(f"\n{title}")
    for name, figure, limit in rows:
        print(f"  {name:<{width}}  {figure:>12}  {limit}")
