"""Korean particles, as far as they can be told from the end of a word without a dictionary."""

from __future__ import annotations

from functools import cache

from frugalctl.levers.semantic_cache.guards.words import load_list

Particles = tuple[tuple[str, str], ...]


@cache
def _load() -> tuple[Particles, dict[str, tuple[str, str]]]:
    order = load_list("ko")["order"]
    particles = [
        (particle, role) for role, members in order["particles"].items() for particle in members
    ]
    longest_first = tuple(sorted(particles, key=lambda item: len(item[0]), reverse=True))
    return longest_first, {word: (base, role) for word, (base, role) in order["irregular"].items()}


def split_particle(word: str) -> tuple[str, str]:
    """A word without its particle, and the role that it gives: "" for none."""
    particles, irregular = _load()
    if word in irregular:
        return irregular[word]
    for particle, role in particles:
        if len(word) > len(particle) and word.endswith(particle):
            return word[: -len(particle)], role
    return word, ""


def strip_particle(word: str) -> str:
    """A word without its particle, if at least two syllables are left."""
    base, role = split_particle(word)
    return base if role and len(base) > 1 else word
