"""Memory does not grow with the log. Each reading runs in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KB on Linux only")

READ = """
import resource, sys
from frugalctl.log.read import ReadNotes, ReadOptions, read_log
from frugalctl.log.schema import TEXT_FIELDS
from frugalctl.log.stream import Source
path, exact, rows = sys.argv[1], sys.argv[2] == "lines", 0
for batch in read_log([Source(path, "log")], ReadOptions(without=TEXT_FIELDS, exact=exact)):
    rows += batch.requests.num_rows
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
SMALL, LARGE = 50_000, 200_000
MAX_GROWTH_MB = 60


@pytest.fixture(scope="module")
def log_paths(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    folder = tmp_path_factory.mktemp("memory")
    text = "the quick brown fox " * 25
    line = (
        '{"id": "r%d", "session": "s%d", "timestamp": "2026-10-02T09:15:04Z", "model": "gpt-4o", '
        f'"response": "{text}", '
        '"usage": {"input_tokens": 1200, "output_tokens": 80}, "latency_ms": 830.5}\n'
    )
    paths: dict[int, Path] = {}
    for rows in (SMALL, LARGE):
        paths[rows] = folder / f"{rows}.jsonl"
        with paths[rows].open("w", encoding="utf-8") as file:
            file.writelines(line % (row, row // 5) for row in range(rows))
    return paths


@pytest.mark.parametrize("mode", ["columnar", "lines"])
def test_memory_is_bounded(mode: str, log_paths: dict[int, Path]):
    peaks_mb: dict[int, int] = {}
    for rows, path in log_paths.items():
        done = subprocess.run(
            [sys.executable, "-c", READ, str(path), mode],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        found, peaks_mb[rows] = map(int, done.stdout.split())
        assert found == rows
    assert log_paths[LARGE].stat().st_size - log_paths[SMALL].stat().st_size > 80 << 20
    assert peaks_mb[LARGE] - peaks_mb[SMALL] < MAX_GROWTH_MB
