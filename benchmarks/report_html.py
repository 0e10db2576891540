"""The HTML report of a ledger of 1M requests: how long it takes and how large it is.

    python benchmarks/report_html.py [--requests 1000000] [--rounds 3]

Limits: 10 seconds and 3 MB, whatever the log's size.
"""

import argparse
import tempfile
from pathlib import Path

from generate_log import write_log
from measure import frugalctl, median_seconds, most_megabytes, report, run, run_in_turns

RECIPE = 'name = "cache"\n[prompt_cache]\nkind = "anthropic"\n'


def main() -> None:
    """Generate a log, replay it into a ledger, measure its report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log, recipe, ledger, page = (
            Path(folder) / name for name in ("log.jsonl", "recipe.toml", "run.parquet", "page.html")
        )
        write_log(log, arguments.requests)
        recipe.write_text(RECIPE, "utf-8")
        run(frugalctl("replay", str(log), "--recipe", str(recipe), "-o", str(ledger)))
        commands = {
            "html": frugalctl("report", str(ledger), "-o", str(page)),
            "json": frugalctl("report", str(ledger), "--json"),
        }
        runs = run_in_turns(commands, arguments.rounds)
        megabytes = page.stat().st_size / 1e6
    seconds = median_seconds(runs["html"])
    report(
        f"report of a ledger of {arguments.requests:,} requests, medians of {arguments.rounds}",
        [
            ("report -o page.html", f"{seconds:.2f} s", "limit 10 s"),
            ("size of the page", f"{megabytes:.2f} MB", "limit 3 MB"),
            ("peak memory", f"{most_megabytes(runs['html']):,.0f} MB", "flat"),
            ("report --json", f"{median_seconds(runs['json']):.2f} s", ""),
        ],
    )


if __name__ == "__main__":
    main()
