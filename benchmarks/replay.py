"""Read + price + report of 1M and 4M requests, against DuckDB on the same file.

    python benchmarks/replay.py [--requests 1000000] [--rounds 5]

DuckDB parses the file and sums two columns, as a whole process like ours. Limits: 3 times its
time, 1 GB, and memory that does not grow with the log.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from generate_log import write_log
from measure import frugalctl, median_seconds, most_megabytes, report, run, run_in_turns

DUCKDB = (
    'import duckdb, sys; print(duckdb.sql("SELECT sum(usage.input_tokens), '
    'sum(usage.output_tokens) FROM read_json(\'" + sys.argv[1] + "\')").fetchall())'
)


def main() -> None:
    """Generate the logs, measure in turns, print ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        write_log(log, arguments.requests)
        size = log.stat().st_size / 2**20
        runs = run_in_turns(
            {
                "frugalctl": frugalctl("replay", str(log), "--json"),
                "duckdb": [sys.executable, "-c", DUCKDB, str(log)],
            },
            arguments.rounds,
        )
        ours, theirs = median_seconds(runs["frugalctl"]), median_seconds(runs["duckdb"])
        memory = most_megabytes(runs["frugalctl"])
        with log.open("rb") as one, (Path(folder) / "four.jsonl").open("wb") as four:
            for part in range(4):
                one.seek(0)
                for line in one:
                    four.write(line.replace(b'"id": "r', b'"id": "%dr' % part, 1))
        larger = run(frugalctl("replay", str(Path(folder) / "four.jsonl"), "--json"))
    report(
        f"replay of {arguments.requests:,} requests ({size:,.0f} MB), medians of "
        f"{arguments.rounds}",
        [
            ("frugalctl replay", f"{ours:.2f} s", ""),
            ("duckdb, parse and sum two columns", f"{theirs:.2f} s", ""),
            ("ratio", f"{ours / theirs:.2f}", "limit 3"),
            ("peak memory", f"{memory:,.0f} MB", "limit 1,000 MB"),
            ("peak memory, four times the log", f"{larger.megabytes:,.0f} MB", "flat"),
            ("time, four times the log", f"{larger.seconds:.2f} s", ""),
        ],
    )


if __name__ == "__main__":
    main()
