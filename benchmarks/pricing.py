"""Pricing alone, a row: our columns against litellm and genai-prices, in one run.

    python benchmarks/pricing.py [--rows 1000000]

Limit: at least 500 times faster a row than either.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from measure import report

MODELS = ("gpt-5.4-mini", "gpt-4o", "claude-opus-5", "claude-haiku-4-5", "gemini-2.5-flash")
BATCH_ROWS = 16_384
PEER_CALLS = 500


def time_seconds(work: Callable[[], object], rounds: int = 7) -> float:
    """The median time of some work."""
    times: list[float] = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def time_ours(rows: int) -> float:
    """Seconds a row, in batches, with strings and timestamps as a log has them."""
    from frugalctl.prices import TOKEN_CLASSES, Calls, load_book, price_calls

    rng = np.random.default_rng(0)
    start_us = int(datetime(2026, 10, 1, tzinfo=UTC).timestamp() * 1e6)
    calls = Calls(
        model=pa.array(np.array(MODELS)[rng.integers(0, len(MODELS), BATCH_ROWS)].tolist()),
        provider=None,
        service_tier=None,
        region=None,
        timestamp_us=start_us + rng.integers(0, 28 * 86_400, BATCH_ROWS) * 1_000_000,
        tokens={name: rng.integers(0, 4_000, BATCH_ROWS) for name in TOKEN_CLASSES},
    )
    book = load_book()
    batches = max(1, rows // BATCH_ROWS)

    def work() -> None:
        for _ in range(batches):
            price_calls(book, calls)

    work()
    return time_seconds(work) / (batches * BATCH_ROWS)


def time_litellm() -> float:
    """Seconds a call of `litellm.cost_per_token`."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    def work() -> None:
        for number in range(PEER_CALLS):
            litellm.cost_per_token(
                model=MODELS[number % 4],
                prompt_tokens=1200,
                completion_tokens=150,
                cache_read_input_tokens=1024,
            )

    work()
    return time_seconds(work) / PEER_CALLS


def time_genai_prices() -> float:
    """Seconds a call of `genai_prices.calc_price`."""
    from genai_prices import Usage, calc_price

    usage = Usage(input_tokens=1200, cache_read_tokens=1024, output_tokens=150)
    moment = datetime(2026, 10, 1, tzinfo=UTC)

    def work() -> None:
        for number in range(PEER_CALLS):
            calc_price(usage, model_ref=MODELS[number % 4], genai_request_timestamp=moment)

    work()
    return time_seconds(work) / PEER_CALLS


def main() -> None:
    """Measure and print ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    arguments = parser.parse_args()
    ours, litellm, genai = time_ours(arguments.rows), time_litellm(), time_genai_prices()
    report(
        f"pricing a row, {arguments.rows:,} rows in batches of {BATCH_ROWS:,}",
        [
            ("frugalctl", f"{ours * 1e6:.4f} us", ""),
            ("litellm.cost_per_token", f"{litellm * 1e6:.1f} us", ""),
            ("genai_prices.calc_price", f"{genai * 1e6:.1f} us", ""),
            ("litellm / frugalctl", f"{litellm / ours:,.0f}", "limit 500"),
            ("genai-prices / frugalctl", f"{genai / ours:,.0f}", "limit 500"),
        ],
    )


if __name__ == "__main__":
    main()
