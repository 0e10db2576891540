"""How long a small command takes, as a whole process.

    python benchmarks/startup.py [--rounds 15]

Limits on an idle machine: help within 150 ms, a small replay within 500 ms. The bare
interpreter stands beside them.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from generate_log import write_log
from measure import frugalctl, median_seconds, report, run_in_turns


def main() -> None:
    """Measure in turns and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "small.jsonl"
        write_log(log, 400)
        runs = run_in_turns(
            {
                "python -c pass": [sys.executable, "-c", "pass"],
                "frugalctl --help": frugalctl("--help"),
                "frugalctl prices show": frugalctl("prices", "show", "gpt-4o-mini"),
                "frugalctl replay, 400 requests": frugalctl("replay", str(log)),
            },
            arguments.rounds,
        )
    limits = {"frugalctl --help": "limit 150 ms", "frugalctl replay, 400 requests": "limit 500 ms"}
    report(
        f"small commands, medians of {arguments.rounds}",
        [
            (name, f"{median_seconds(items) * 1000:.0f} ms", limits.get(name, ""))
            for name, items in runs.items()
        ],
    )


if __name__ == "__main__":
    main()
