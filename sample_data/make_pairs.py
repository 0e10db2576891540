"""Make the labelled questions: which ask for the same answer, and which only look as if they did.

`questions.toml` holds the questions; this script puts them into groups and draws pairs from them:
two of one group (same), and two of groups that look alike (not the same). Pairs that share a text
are one piece of evidence, not two, so pairs join no more than two or three groups, and half of the
groups stay alone. One seed, so that the same script makes the same bytes:

    python sample_data/make_pairs.py [FOLDER]
"""

from __future__ import annotations

import json
import random
import sys
import tomllib
from itertools import combinations, product
from pathlib import Path
from typing import Any

SEED = 20261120
SAME_PER_GROUP = 5
ALIKE_PER_COUPLE = 2

Family = dict[str, list[str]]
Couple = list[list[str]]
Row = dict[str, Any]


def read_families(path: Path) -> list[Family]:
    """Families of groups that look alike: a name for each group, and its questions."""
    tables = tomllib.loads(path.read_text("utf-8"))
    families: list[Family] = [
        {f"{topic}/{name}": questions for name, questions in family.items()}
        for topic, family in tables["near"].items()
    ]
    for topic, frame in tables["frame"].items():
        families.append(
            {
                f"{topic}/{'-'.join(fill)}": [
                    ask.format(**dict(zip(frame["words"], fill, strict=True)))
                    for ask in frame["ask"]
                ]
                for fill in frame["fill"]
            }
        )
    return families


def couple_groups(rng: random.Random, families: list[Family]) -> list[Couple]:
    """Two or three groups each that look alike."""
    couples: list[Couple] = []
    for family in families:
        groups = rng.sample(list(family.values()), len(family))
        cuts = range(0, max(len(groups) - 1, 1), 2)
        couples += [groups[cut : cut + 2 if cut + 3 < len(groups) else None] for cut in cuts]
    return couples


def draw_pairs(rng: random.Random, families: list[Family]) -> list[Row]:
    """Labelled pairs, shuffled."""
    rows: list[Row] = []
    for number, couple in enumerate(couple_groups(rng, families)):
        for texts in couple:
            rows += draw_some(rng, list(combinations(texts, 2)), SAME_PER_GROUP, same=1)
        if number % 2:
            continue
        alike = [pair for one, other in combinations(couple, 2) for pair in product(one, other)]
        rows += draw_some(rng, alike, ALIKE_PER_COUPLE, same=0)
    rng.shuffle(rows)
    return rows


def draw_some(
    rng: random.Random, pairs: list[tuple[str, str]], count: int, *, same: int
) -> list[Row]:
    """So many of these pairs, or all if there are fewer."""
    drawn = rng.sample(pairs, min(count, len(pairs)))
    return [{"a": a, "b": b, "same": same} for a, b in drawn]


def write_lines(path: Path, rows: list[Row]) -> None:
    """Rows as JSON lines."""
    lines = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows]
    path.write_text("\n".join(lines) + "\n", "utf-8", newline="\n")
    print(f"{path.name}: {len(lines)} lines")


def main(folder: Path) -> None:
    """Write groups and pairs."""
    families = read_families(Path(__file__).with_name("questions.toml"))
    groups = [
        {"group": name, "text": text}
        for family in families
        for name, texts in family.items()
        for text in texts
    ]
    write_lines(folder / "groups.jsonl", groups)
    write_lines(folder / "pairs.jsonl", draw_pairs(random.Random(SEED), families))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
