"""What two questions have in common, as numbers that do not depend on their order.

The words of a question are kept as hashes of `WORD_BITS` bits, so that a scorer's file holds no
text of the pairs that it was trained on. A pair is put in a canonical order before anything is
summed: floating point sums would otherwise differ in their last bits between (a, b) and (b, a).
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from frugalctl.levers.semantic_cache.protocols import Floats, Integers

FEATURE_VERSION = 1
WORD_BITS = 17
N_WORDS = 1 << WORD_BITS

TEXT_FEATURES = (
    "min_words",
    "max_words",
    "length_ratio",
    "word_jaccard",
    "word_overlap",
    "idf_jaccard",
    "idf_overlap_short",
    "idf_overlap_long",
    "idf_shared",
    "idf_only_least",
    "idf_only_most",
    "idf_rarest_least",
    "idf_rarest_most",
    "trigram_jaccard",
    "trigram_overlap",
    "stem_jaccard",
    "subsequence_long",
    "subsequence_short",
    "subsequence_words",
    "moved_words",
    "common_prefix",
    "common_suffix",
    "same_first",
    "same_last",
    "same_question_word",
    "numbers_differ",
    "numbers_shared",
    "names_differ",
    "names_shared",
    "negation_differs",
    "negations",
)

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*[+#]*")
_DIGIT = re.compile(r"\d")
_QUESTION_WORDS = frozenset(
    "how what why who whom whose when where which is are am was were can could do does did "
    "should would will may has have if".split()
)
_NEGATIONS = frozenset("not no never without none nothing cannot nor neither".split())
_STEM_LETTERS = 4
_SUBSEQUENCE_WORDS = 256
_PRIME = 0x9E3779B1


@dataclass(frozen=True, slots=True)
class ParsedText:
    """A text as its words and marks; the dictionaries keep the order in which they stand."""

    words: tuple[int, ...]
    distinct: dict[int, None]
    bigrams: dict[int, None]
    trigrams: frozenset[str]
    stems: frozenset[str]
    numbers: frozenset[str]
    names: frozenset[str]
    negations: int
    question_word: str


def parse_text(text: str) -> ParsedText:
    """Words (letters or digits, with a trailing + or #), their hashes, and what they mark."""
    written = _WORD.findall(unicodedata.normalize("NFC", text))
    words = [word.casefold() for word in written]
    joined = " ".join(words)
    hashes = tuple(map(hash_word, words))
    return ParsedText(
        words=hashes,
        distinct=dict.fromkeys(hashes),
        bigrams=dict.fromkeys(map(mix_hashes, hashes, hashes[1:])),
        trigrams=frozenset([joined[i : i + 3] for i in range(max(len(joined) - 2, 1))]),
        stems=frozenset([word[:_STEM_LETTERS] for word in words]),
        numbers=frozenset([word for word in words if _DIGIT.search(word)]),
        names=frozenset([word.casefold() for word in written[1:] if word[0].isupper()]),
        negations=sum([word in _NEGATIONS or word.endswith(("n't", "n’t")) for word in words]),
        question_word=next((word for word in words if word in _QUESTION_WORDS), ""),
    )


@lru_cache(maxsize=1 << 16)
def hash_word(word: str) -> int:
    """A hash of `WORD_BITS` bits that is the same in every process."""
    return zlib.crc32(word.encode("utf-8", "surrogatepass")) >> (32 - WORD_BITS)


def mix_hashes(left: int, right: int) -> int:
    """A hash of `WORD_BITS` bits of an ordered pair of them."""
    return (((left << WORD_BITS | right) * _PRIME) & 0xFFFFFFFFFF) >> (40 - WORD_BITS)


def parse_pairs(a: Sequence[str], b: Sequence[str]) -> list[tuple[ParsedText, ParsedText]]:
    """The parsed pairs, each in its canonical order; a text that comes again is parsed once."""
    parsed = {text: parse_text(text) for text in dict.fromkeys((*a, *b))}
    return [
        (parsed[left], parsed[right]) if left <= right else (parsed[right], parsed[left])
        for left, right in zip(a, b, strict=True)
    ]


def learn_idf(texts: Sequence[str]) -> NDArray[np.float32]:
    """Inverse document frequency of every word hash: log((n + 1) / (count + 1/2)).

    Args:
        texts: n distinct texts.

    Returns:
        float32[N_WORDS]; a word that was not seen is the rarest.
    """
    counts = np.zeros(N_WORDS)
    for text in texts:
        counts[list(parse_text(text).distinct)] += 1
    return np.log((len(texts) + 1) / (counts + 0.5)).astype(np.float32)


def compare_texts(
    pairs: Sequence[tuple[ParsedText, ParsedText]], idf: NDArray[np.float32]
) -> Floats:
    """float64[n, len(TEXT_FEATURES)] of n pairs."""
    used = dict.fromkeys(word for pair in pairs for text in pair for word in text.distinct)
    indices: Integers = np.fromiter(used, dtype=np.int64, count=len(used))
    weights = dict(zip(used, idf[indices].tolist(), strict=True))
    rows = [_compare_pair(left, right, weights) for left, right in pairs]
    return np.array(rows, dtype=np.float64).reshape(len(pairs), len(TEXT_FEATURES))


def measure_subsequence(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the longest common subsequence, by bits (Hyyrö 2004, "Bit-parallel LCS")."""
    places: dict[int, int] = {}
    for i, word in enumerate(left):
        places[word] = places.get(word, 0) | 1 << i
    every = (1 << len(left)) - 1
    open_places = every
    for word in right:
        matched = open_places & places.get(word, 0)
        open_places = ((open_places + matched) | (open_places - matched)) & every
    return len(left) - open_places.bit_count()


def _compare_pair(left: ParsedText, right: ParsedText, idf: dict[int, float]) -> tuple[float, ...]:
    short, long = sorted((len(left.words), len(right.words)))
    return (
        short,
        long,
        _divide(short, long),
        *_compare_words(left, right, idf),
        *_compare_sets(left.trigrams, right.trigrams),
        _compare_sets(left.stems, right.stems)[0],
        *_compare_order(left, right, short, long),
        left.question_word == right.question_word,
        *_compare_marks(left, right),
    )


def _compare_words(left: ParsedText, right: ParsedText, idf: dict[int, float]) -> list[float]:
    shared = [word for word in left.distinct if word in right.distinct]
    idf_shared = sum(idf[word] for word in shared)
    only_left = [idf[word] for word in left.distinct if word not in right.distinct]
    only_right = [idf[word] for word in right.distinct if word not in left.distinct]
    least, most = sorted((sum(only_left), sum(only_right)))
    rarest = sorted((max(only_left, default=0.0), max(only_right, default=0.0)))
    return [
        _divide(len(shared), len(shared) + len(only_left) + len(only_right)),
        _divide(len(shared), len(shared) + min(len(only_left), len(only_right))),
        _divide(idf_shared, idf_shared + least + most),
        _divide(idf_shared, idf_shared + least),
        _divide(idf_shared, idf_shared + most),
        idf_shared,
        least,
        most,
        *rarest,
    ]


def _compare_order(left: ParsedText, right: ParsedText, short: int, long: int) -> list[float]:
    a, b = left.words[:_SUBSEQUENCE_WORDS], right.words[:_SUBSEQUENCE_WORDS]
    subsequence = measure_subsequence(a, b)
    n_shared = len(left.distinct.keys() & right.distinct.keys())
    return [
        _divide(subsequence, long),
        _divide(subsequence, short),
        subsequence,
        n_shared - subsequence,
        _count_equal(left.words, right.words),
        _count_equal(left.words[::-1], right.words[::-1]),
        left.words[:1] == right.words[:1],
        left.words[-1:] == right.words[-1:],
    ]


def _compare_marks(left: ParsedText, right: ParsedText) -> list[float]:
    return [
        len(left.numbers ^ right.numbers),
        len(left.numbers & right.numbers),
        len(left.names ^ right.names),
        len(left.names & right.names),
        abs(left.negations - right.negations),
        left.negations + right.negations,
    ]


def _compare_sets(left: frozenset[str], right: frozenset[str]) -> tuple[float, float]:
    shared = len(left & right)
    return (
        _divide(shared, len(left) + len(right) - shared),
        _divide(shared, min(len(left), len(right))),
    )


def _count_equal(left: tuple[int, ...], right: tuple[int, ...]) -> int:
    count = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        count += 1
    return count


def _divide(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
