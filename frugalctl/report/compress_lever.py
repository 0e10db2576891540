"""What compression did in a replay, as a table."""

from __future__ import annotations

from typing import Any

from frugalctl.report.tables import Table, format_number


def lay_out_compression(compress: dict[str, Any]) -> Table:
    """The table of a report's `compress`."""
    sent = compress["requests"]
    rows = [
        ("requests with a changed prompt", _share(compress["requests_changed"], sent)),
        *(
            (f"  as far as the {tier} tier", format_number(count))
            for tier, count in compress["changed_by"].items()
            if count
        ),
        ("input tokens of the calls before", format_number(compress["input_tokens_before"])),
        ("  after", format_number(compress["input_tokens_after"])),
        ("  saved", _share(compress["tokens_saved"], compress["input_tokens_before"])),
        *(
            (f"    by the {tier} tier", format_number(tokens))
            for tier, tokens in compress["saved_by"].items()
            if tokens
        ),
    ]
    if compress["read_tokens_before"]:
        left = f"{compress['read_tokens_before']:,} -> {compress['read_tokens_after']:,}"
        rows.append(("  read from a cache, by the log", left))
        if compress["read_tokens_broken"]:
            broken = format_number(compress["read_tokens_broken"])
            rows.append(("    fresh now, their prefix is broken", broken))
    rows += [
        ("requests whose quality is unknown now", format_number(compress["quality_unknown"])),
        ("requests with a warning", format_number(compress["requests_with_warnings"])),
    ]
    title = f"Compression: {compress['name']}"
    return Table(title, ("", ">"), tuple(rows), tuple(_list_notes(compress)))


def _list_notes(compress: dict[str, Any]) -> list[str]:
    notes: list[str] = []
    if compress["quality_unknown"]:
        notes.append(
            f"No model has answered the {compress['quality_unknown']:,} prompts that the "
            "structural or the lossy tier changed, so their quality is unknown and left out of the "
            "recipe's mean; a change in quality is over the other prompts."
        )
    if compress["quality_assumed"]:
        notes.append(
            f"Assumed: {compress['quality_assumed']:,} prompts that only the lossless tier changed "
            "(white space, JSON, escapes, repetitions) are answered as they were."
        )
    if compress["ms_per_1k_tokens"]:
        notes.append(
            f"Compressing adds {compress['ms_per_1k_tokens']:g} ms per 1,000 tokens to the "
            "latency; what models gain by shorter prompts is left out."
        )
    if compress["requests_without_text"]:
        notes.append(
            f"Left as they are: {compress['requests_without_text']:,} requests that show no text."
        )
    return notes


def _share(count: int, total: int) -> str:
    return f"{count:,} ({100 * count / total:.1f} %)" if total else format_number(count)
