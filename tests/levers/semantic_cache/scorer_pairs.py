"""Labelled questions that we made up: what is asked of what, in several wordings."""

import zlib

import numpy as np

_ACTIONS = "reset cancel rename export pause share delete restore upgrade print".split()
_OBJECTS = "password invoice account report playlist calendar backup project ticket photo".split()
_WORDINGS = (
    "How do I {} my {}?",
    "What is the best way to {} a {}?",
    "please tell me how to {} the {}",
    "Can I {} my {} now?",
)


def make_groups(seed, n=None):
    """Texts, and the number of what each asks."""
    rng = np.random.default_rng(seed)
    asked = [(x, y) for x in _ACTIONS for y in _OBJECTS]
    texts = [wording.format(*pair) for pair in asked for wording in _WORDINGS]
    order = rng.permutation(len(texts))[:n]
    return [texts[i] for i in order], [int(i) // len(_WORDINGS) for i in order]


def make_pairs(n, seed):
    """a, b, same, and a group for each pair: what its first text asks."""
    rng = np.random.default_rng(seed)
    texts, groups = make_groups(seed)
    by_group = {}
    for text, group in zip(texts, groups, strict=True):
        by_group.setdefault(group, []).append(text)
    a, b, same, labels = [], [], [], []
    for _ in range(n):
        group = int(rng.integers(len(by_group)))
        other = group if rng.random() < 0.5 else (group + int(rng.integers(1, 10))) % 100
        first, second = rng.permutation(4)[:2]
        a.append(by_group[group][first])
        b.append(by_group[other][second])
        same.append(group == other)
        labels.append(group)
    return a, b, np.array(same), labels


def embed(texts, dimension=16):
    """Unit vectors: the mean of a random vector for each word; zeros for an empty text."""
    rows = np.zeros((len(texts), dimension), np.float32)
    for row, text in zip(rows, texts, strict=True):
        for word in text.lower().split():
            code = zlib.crc32(word.encode("utf-8", "surrogatepass"))
            row += np.random.default_rng(code).normal(size=dimension)
        row /= np.linalg.norm(row) or 1
    return rows
