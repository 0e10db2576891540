"""LLMLingua-2 beside our own extraction, on the same prompts in one run.

    OMP_NUM_THREADS=1 python benchmarks/compress_llmlingua.py [--data ../shared/data/compress]
        [--prompts 9] [--large-prompts 1]

The models are made here, of random weights: what they choose means nothing, what it takes is that
of a trained model of the shape. The big one has the layers of xlm-roberta-large; its vocabulary is
small, which saves memory and no time. The package on its own is timed too: it reads every chunk as
512 tokens, and misses the budget; ours reads chunks as they are, each once, and keeps it.
"""

import argparse
import gzip
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from measure import report

from frugalctl.levers.compress.extractive import select
from frugalctl.levers.compress.llmlingua_load import contained, load_compressor
from frugalctl.levers.compress.llmlingua_tier import compress_with_llmlingua
from frugalctl.levers.compress.pieces import CompressedPart, Part, Piece, Segment
from frugalctl.levers.compress.protect import find_protected
from frugalctl.levers.compress.settings import CompressSettings
from frugalctl.tokens import count_text

RATE = 0.5


def main() -> None:
    """Time each method on the first prompts of nq20."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path("../shared/data/compress"))
    parser.add_argument("--prompts", type=int, default=9)
    parser.add_argument("--large-prompts", type=int, default=1, help="0 leaves the model out")
    options = parser.parse_args()
    prompts = read_prompts(options.data / "nq20.jsonl.gz", options.prompts)
    rows = [time_method("extraction", prompts, CompressSettings(rate=RATE))]
    corpus = [part.part.text for part, _ in prompts]
    shapes = (("tiny", 2, 32, len(prompts)), ("large", 24, 1024, options.large_prompts))
    for name, layers, hidden, number in shapes:
        if not number:
            continue
        with tempfile.TemporaryDirectory() as folder:
            make_model(Path(folder), corpus, layers, hidden)
            settings = CompressSettings(rate=RATE, method="llmlingua2", llm=folder)
            compressor = load_compressor(folder, "llmlingua2", "cpu", 0)
            rows.append(time_method(f"llmlingua2, {name}", prompts[:number], settings))
            rows.append(time_package(f"the package, {name}", prompts[:number], compressor))
            load_compressor.cache_clear()
    report("o200k tokens/s, one prompt at a time; share of the budget used", rows)


def read_prompts(path: Path, number: int) -> list[tuple[CompressedPart, str]]:
    """The documents of each question as one part, and the question."""
    made: list[tuple[CompressedPart, str]] = []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in islice(lines, number):
            row = json.loads(line)
            documents = [(document["title"], document["text"]) for document in row["documents"]]
            made.append((make_part(documents), row["question"]))
    return made


def make_part(documents: Sequence[tuple[str, str]]) -> CompressedPart:
    """A part with a segment a document."""
    text, segments = "", list[Segment]()
    for at, (title, body) in enumerate(documents):
        start = len(text)
        text += f"Document [{at + 1}](Title: {title}) {body}\n\n"
        segments.append(Segment(start, len(text), "document", title, group=at))
    part = Part(text, segments=tuple(segments), protected=find_protected(text))
    return CompressedPart(part, (Piece(0, len(text), text),))


def make_model(folder: Path, corpus: Sequence[str], layers: int, hidden: int) -> None:
    """A token classifier of random weights, and a tokenizer of the corpus."""
    import torch
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import (
        PreTrainedTokenizerFast,
        XLMRobertaConfig,
        XLMRobertaForTokenClassification,
    )

    names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=4000, special_tokens=names, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(corpus, trainer)
    roles = ("bos_token", "pad_token", "eos_token", "unk_token", "mask_token")
    special: dict[str, Any] = dict(zip(roles, names, strict=True))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, cls_token="<s>", sep_token="</s>", **special
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = XLMRobertaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=max(hidden // 64, 2),
        intermediate_size=4 * hidden,
        max_position_embeddings=514,
    )
    model = XLMRobertaForTokenClassification(config)
    model.save_pretrained(folder)


def time_method(
    name: str, prompts: Sequence[tuple[CompressedPart, str]], settings: CompressSettings
) -> tuple[str, str, str]:
    """The speed of a method through our own code."""
    compress = select if settings.method == "extractive" else compress_with_llmlingua

    def run(part: CompressedPart, question: str) -> str:
        budget = int(RATE * count(part.part.text))
        (found,) = compress([part], question, count, budget, settings)
        return found.text

    return time_runs(name, prompts, run)


def time_package(
    name: str, prompts: Sequence[tuple[CompressedPart, str]], compressor: Any
) -> tuple[str, str, str]:
    """The speed of the package as its documentation uses it, its model as it loads it."""
    packed = compressor.model
    compressor.model = packed.args[0]

    def run(part: CompressedPart, question: str) -> str:
        documents = [text for text in part.part.text.split("\n\n") if text]
        with contained(0):
            answer = compressor.compress_prompt(
                documents, rate=RATE, question=question, use_context_level_filter=False
            )
        return answer["compressed_prompt"]

    row = time_runs(name, prompts, run)
    compressor.model = packed
    return row


def time_runs(
    name: str,
    prompts: Sequence[tuple[CompressedPart, str]],
    run: Callable[[CompressedPart, str], str],
) -> tuple[str, str, str]:
    """The median of the prompts' speeds, and how much of the budget they used."""
    speeds: list[float] = []
    shares: list[float] = []
    # What is loaded and compiled once is not timed.
    warm_up = "One sentence. Another one, of more words. A third of them. A fourth, of more words."
    run(make_part([("", warm_up)]), "Which one?")
    for part, question in prompts:
        tokens = count(part.part.text)
        start = time.perf_counter()
        text = run(part, question)
        speeds.append(tokens / (time.perf_counter() - start))
        shares.append(count(text) / int(RATE * tokens))
    return name, f"{statistics.median(speeds):,.0f}", f"{min(shares):.1%} to {max(shares):.1%}"


def count(text: str) -> int:
    """Tokens in o200k_base."""
    return count_text(text, "gpt-5.4-mini")


if __name__ == "__main__":
    main()
