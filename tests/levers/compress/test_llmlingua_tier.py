"""The real package llmlingua on tiny models of random weights, made here."""

import os
import random
import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from frugalctl.errors import InputError, MissingExtraError, UsageError
from frugalctl.levers.compress import llmlingua_load
from frugalctl.levers.compress.llmlingua_load import load_compressor
from frugalctl.levers.compress.llmlingua_tier import compress_with_llmlingua
from frugalctl.levers.compress.pieces import CompressedPart, Part, Piece, Segment, Span
from frugalctl.levers.compress.protect import find_protected, verify_protected
from frugalctl.levers.compress.settings import CompressSettings
from frugalctl.tokens import count_text

if any(find_spec(name) is None for name in ("llmlingua", "torch", "transformers")):
    pytest.skip("the extra llmlingua is not installed", allow_module_level=True)

WORDS = (
    "the ferry left harbour before dawn and nobody on the quay had noticed that captain was alone "
    "she kept a lamp in window because storms came early this year fishermen say birds know first "
    "prices of salt rose when road to mill closed but bakers found another way over hills"
).split()
SUBJECTS = ("Ferries", "Lamps", "Bridges", "Salt", "Birds", "Mills")
QUESTION = "When did the ferry leave the harbour?"


def write_prose(sentences: int, seed: int = 0) -> str:
    chance = random.Random(seed)
    made = (" ".join(chance.choices(WORDS, k=chance.randint(7, 14))) for _ in range(sentences))
    return " ".join(text.capitalize() + "." for text in made)


CORPUS = [write_prose(5, seed) for seed in range(40)] + [
    "Anna's 한국어 문장도 있다. Über 3.5 km, e.g. so!"
]


def count(text: str) -> int:
    return count_text(text, "gpt-5.4-mini")


def make_part(text: str, *segments: Segment, patterns: tuple[str, ...] = ()) -> CompressedPart:
    segments = segments or (Segment(0, len(text), "prose"),)
    part = Part(text, segments=segments, protected=find_protected(text, patterns, segments))
    return CompressedPart(part, (Piece(0, len(text), text),))


def make_documents(number: int, instruction: str = "Answer from the documents.\n\n"):
    text, segments = instruction, [Segment(0, len(instruction), "instruction", locked=True)]
    for at in range(number):
        title = f"{SUBJECTS[at % len(SUBJECTS)]} {'abcdefgh'[at]}"
        body = f"Document (Title: {title}) {write_prose(6, seed=100 + at)}\n\n"
        segments.append(Segment(len(text), len(text) + len(body), "document", title, group=at))
        text += body
    segments.append(Segment(len(text), len(text) + len(QUESTION), "question", locked=True))
    return make_part(text + QUESTION, *segments)


def compress(part: CompressedPart, method: str, llm: Path, share: float, **options):
    settings = CompressSettings(method=method, llm=str(llm))
    budget = int(count(part.part.text) * share)
    question = options.pop("question", QUESTION)
    (found,) = compress_with_llmlingua([part], question, count, budget, settings, **options)
    verify_protected(found.part, found.pieces)
    assert count(found.text) <= budget
    return found


def save(folder: Path, tokenizer, model, **special: str) -> Path:
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folders of tiny models by shape; their names say nothing."""
    import torch

    root = tmp_path_factory.mktemp("models")
    with torch.random.fork_rng():
        torch.manual_seed(7)
        yield {
            "xlm": make_xlm_roberta(root / "a"),
            "bert": make_bert(root / "b"),
            "gpt2": make_gpt2(root / "c"),
            "llama": make_llama(root / "d"),
        }
    load_compressor.cache_clear()


def make_xlm_roberta(folder: Path, labels: int = 2) -> Path:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from tokenizers.decoders import Metaspace
    from transformers import XLMRobertaConfig, XLMRobertaForTokenClassification

    names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = Metaspace()
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.UnigramTrainer(
            vocab_size=220, special_tokens=names, unk_token="<unk>", show_progress=False
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    config = XLMRobertaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=514,
        num_labels=labels,
        initializer_range=0.6,
    )
    special = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token"), names, strict=False))
    model = XLMRobertaForTokenClassification(config)
    return save(folder, tokenizer, model, cls_token="<s>", sep_token="</s>", **special)


def make_bert(folder: Path) -> Path:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import BertConfig, BertForTokenClassification

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(
        CORPUS, trainers.WordPieceTrainer(vocab_size=220, special_tokens=names, show_progress=False)
    )
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
        initializer_range=0.6,
    )
    roles = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    special = dict(zip(roles, names, strict=True))
    return save(folder, tokenizer, BertForTokenClassification(config), **special)


def make_byte_tokenizer():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=500,
            special_tokens=["<|endoftext|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return tokenizer


def make_gpt2(folder: Path) -> Path:
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = make_byte_tokenizer()
    config = GPT2Config(
        vocab_size=tokenizer.get_vocab_size(),
        n_positions=256,
        n_embd=32,
        n_layer=2,
        n_head=2,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=0,
    )
    end = "<|endoftext|>"
    return save(folder, tokenizer, GPT2LMHeadModel(config), eos_token=end, bos_token=end)


def make_llama(folder: Path) -> Path:
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = make_byte_tokenizer()
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=1024,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=0,
    )
    end = "<|endoftext|>"
    return save(folder, tokenizer, LlamaForCausalLM(config), eos_token=end, bos_token=end)


@pytest.mark.parametrize("shape", ["xlm", "bert"])
@pytest.mark.parametrize("share", [0.7, 0.4])
def test_words_go_in_order_within_the_budget(models, shape, share):
    part = make_documents(4)
    found = compress(part, "llmlingua2", models[shape], share)
    assert count(found.text) > 0.8 * share * count(part.part.text)
    assert found.text.startswith("Answer from the documents.\n\n")
    assert found.text.endswith(QUESTION)
    rest = iter(re.findall(r"\w+", part.part.text))
    assert all(word in rest for word in re.findall(r"\w+", found.text))
    assert {piece.reason for piece in found.pieces} == {"", "llmlingua2"}
    dropped = [piece for piece in found.pieces if piece.reason]
    assert all(piece.text in ("", " ") for piece in dropped)
    assert any(piece.score is not None for piece in dropped)


@pytest.mark.parametrize("shape", ["xlm", "bert"])
def test_the_words_are_the_package_s_own_choice(models, shape):
    text = write_prose(30, 9)
    found = compress(make_part(text), "llmlingua2", models[shape], 0.5)
    compressor = load_compressor(str(models[shape]), "llmlingua2", "cpu", 0)
    # The package joins chunks without a space, so only the letters can be compared.
    chosen: list[list[str]] = []
    for percent in range(40, 61):
        answer = compressor.compress_prompt(text, rate=percent / 100)
        chosen.append(re.findall(r"\w", answer["compressed_prompt"]))
    compressor.known_logits.clear()
    assert re.findall(r"\w", found.text) in chosen


@pytest.mark.parametrize("shape", ["xlm", "bert"])
def test_protected_spans_come_out_as_they_went_in(models, shape):
    text = (
        f"{write_prose(8)} Write to {{name}} at https://example.org/a?b=1&c=%20x or "
        f"ann@example.org by 3 May 2026, for $1,200.50. {write_prose(8, 1)} KEEP-77 and <tag>."
    )
    part = make_part(text, patterns=("KEEP-\\d+",))
    found = compress(part, "llmlingua2", models[shape], 0.45)
    for span in part.part.protected:
        assert text[span.start : span.end] in found.text


@pytest.mark.parametrize("shape", ["xlm", "bert"])
@pytest.mark.parametrize(
    "extra",
    [
        "\u1112\u1161\u11ab\uad6d\uc5b4 \ubb38\uc7a5\ub3c4 \uc788\ub2e4.",
        "A fa\u00e7ade, a \ufb01sh, \uff21\uff22\uff23 and \u00bd of it\u2026",
        "<s> </s> [SEP] [UNK] [NEW3] <|endoftext|> \u2581 ##ing",
        "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 \ud800 \x00\x1f\x1e",
        "\u0645\u0631\u062d\u0628\u0627 \u4f60\u597d\uff0c\u4e16\u754c\u3002",
        "\u0928\u092e\u0938\u094d\u0924\u0947 e\u0301",
        "x" * 700,
        "\r\n\r\n\t \u3000\u00a0 \ufeff",
    ],
)
def test_strange_text_is_kept_or_dropped_never_changed(models, shape, extra):
    text = f"{write_prose(6)}\n\n{extra}\n\n{write_prose(6, 2)}"
    part = make_part(text)
    found = compress(part, "llmlingua2", models[shape], 0.6, question=None)
    rest = iter(text)
    assert all(char in rest for char in found.text if not char.isspace())


def test_joined_words_are_parted_where_what_was_between_goes(models):
    from frugalctl.levers.compress.llmlingua_chars import drop_chars, open_drafts

    text = "alpha-beta gamma\n\ndelta epsilon, zeta (eta) theta"
    (draft,) = open_drafts([make_part(text)])
    dropped = bytearray(len(text))
    for word in ("-", "gamma", "epsilon", "eta)", "lpha"):
        start = text.rindex(word)
        dropped[start : start + len(word)] = b"\1" * len(word)
    found = drop_chars(draft, dropped, [None] * len(text), "test")
    assert found.text == "a beta\n\ndelta, zeta ( theta"
    assert "".join(text[piece.start : piece.end] for piece in found.pieces) == text


def test_nothing_within_locked_segments_code_or_titles_is_touched(models):
    code = "```python\nfor x in y:\n    print(x)\n```\n"
    prose, more = write_prose(10) + "\n\n", write_prose(10, 3)
    text = prose + code + more
    segments = (
        Segment(0, len(prose), "prose"),
        Segment(len(prose), len(prose) + len(code), "code", language="python"),
        Segment(len(prose) + len(code), len(text), "prose", locked=True),
    )
    found = compress(make_part(text, *segments), "llmlingua2", models["xlm"], 0.7)
    assert found.text.endswith(code + more)
    found = compress(make_documents(3), "llmlingua2", models["xlm"], 0.5)
    assert all(f"Document (Title: {name})" in found.text for name in ("Ferries a", "Lamps b"))


def test_texts_that_an_earlier_tier_replaced_are_cut_too(models):
    text = "  ".join(write_prose(12).split(" "))
    pieces, at = [], 0
    for gap in re.finditer("  ", text):
        pieces.append(Piece(at, gap.start(), text[at : gap.start()]))
        pieces.append(Piece(gap.start(), gap.end(), " ", "white space"))
        at = gap.end()
    pieces.append(Piece(at, len(text), text[at:]))
    part = Part(text, segments=(Segment(0, len(text), "prose"),))
    given = CompressedPart(part, tuple(pieces))
    settings = CompressSettings(method="llmlingua2", llm=str(models["xlm"]))
    budget = count(given.text) // 2
    (found,) = compress_with_llmlingua([given], None, count, budget, settings)
    assert budget * 0.8 < count(found.text) <= budget
    assert "  " not in found.text
    assert "".join(text[piece.start : piece.end] for piece in found.pieces) == text


def test_parts_of_a_chat_share_one_budget(models):
    parts = [make_part(write_prose(9, seed)) for seed in (1, 2)]
    fixed = make_part("You are brief.", Segment(0, 14, "instruction", locked=True))
    settings = CompressSettings(method="llmlingua2", llm=str(models["bert"]))
    given = [fixed, *parts]
    budget = sum(count(part.part.text) for part in given) // 2
    found = compress_with_llmlingua(given, None, count, budget, settings)
    assert found[0].text == "You are brief."
    assert 0.8 * budget < sum(count(part.text) for part in found) <= budget


def test_what_fits_comes_back_without_a_model(tmp_path):
    part = make_part(write_prose(3))
    settings = CompressSettings(method="llmlingua2", llm=str(tmp_path / "none"))
    assert compress_with_llmlingua([part], None, count, 1000, settings) == [part]


def test_a_budget_that_no_rate_reaches_is_met_by_extraction(models):
    table = "\n".join(f"row {number} of a table\t{number}" for number in range(60)) + "\n"
    prose = write_prose(6)
    segments = (Segment(0, len(table), "table"), Segment(len(table), len(table + prose), "prose"))
    found = compress(make_part(table + prose, *segments), "llmlingua2", models["xlm"], 0.3)
    assert any("extraction" in warning for warning in found.warnings)


@pytest.mark.parametrize("share", [0.02, 0.1])
@pytest.mark.parametrize(
    ("method", "shape"), [("llmlingua2", "xlm"), ("llmlingua", "gpt2"), ("longllmlingua", "llama")]
)
def test_a_prompt_is_never_emptied(models, method, shape, share):
    options = {} if method == "llmlingua2" else {"coarse": True}
    try:
        found = compress(make_part(write_prose(5, 3)), method, models[shape], share, **options)
    except UsageError as error:
        assert "too few" in error.message
    else:
        assert found.text.strip()


@pytest.mark.parametrize(
    ("method", "shape"), [("llmlingua2", "xlm"), ("llmlingua", "gpt2"), ("longllmlingua", "llama")]
)
def test_the_same_comes_out_again_and_chance_is_left_alone(models, method, shape):
    options = {} if method == "llmlingua2" else {"coarse": True}
    random.seed(5)
    np.random.seed(5)
    before = random.getstate(), np.random.get_state()[1].tolist(), os.environ.get("PYTHONHASHSEED")
    first = compress(make_documents(4), method, models[shape], 0.5, **options)
    load_compressor.cache_clear()
    assert compress(make_documents(4), method, models[shape], 0.5, **options) == first
    after = random.getstate(), np.random.get_state()[1].tolist(), os.environ.get("PYTHONHASHSEED")
    assert after == before


def test_short_chunks_are_read_short_and_once_with_the_same_result(models):
    import torch

    compressor = load_compressor(str(models["xlm"]), "llmlingua2", "cpu", 0)
    classify, model = compressor.model, compressor.model.args[0]
    ids = torch.ones((3, 512), dtype=torch.long)
    mask = torch.zeros((3, 512), dtype=torch.bool)
    for row, size in enumerate((40, 9, 300)):
        ids[row, :size] = torch.randint(5, 200, (size,))
        mask[row, :size] = True
    widths = []
    hook = model.register_forward_pre_hook(
        lambda _, args, options: widths.append(options["input_ids"].shape[1]), with_kwargs=True
    )
    with torch.no_grad():
        logits = classify(input_ids=ids, attention_mask=mask).logits
        again = classify(input_ids=ids, attention_mask=mask).logits
        assert widths == [300]
        hook.remove()
        for row in range(3):
            plain = model(input_ids=ids[row][mask[row]][None]).logits[0]
            torch.testing.assert_close(logits[row][mask[row]], plain, rtol=1e-4, atol=1e-4)
    assert torch.equal(logits, again)
    compressor.known_logits.clear()


@pytest.mark.parametrize("method", ["llmlingua", "longllmlingua"])
@pytest.mark.parametrize("shape", ["gpt2", "llama"])
def test_coarse_ranking_keeps_whole_documents_and_sentences(models, method, shape):
    part = make_documents(6)
    found = compress(part, method, models[shape], 0.5, coarse=True)
    assert found.text.startswith("Answer from the documents.\n\n")
    assert found.text.endswith(QUESTION)
    sentences = set(re.findall(r"[A-Z][a-z ]+\.", part.part.text))
    assert set(re.findall(r"[A-Z][a-z ]+\.", found.text)) <= sentences
    bodies = re.findall(r"Document .*", part.part.text)
    whole = [body for body in bodies if body in found.text]
    assert 1 <= len(whole) < len(bodies)
    assert {piece.reason for piece in found.pieces} >= {method}


def test_coarse_ranking_is_the_package_s_own(models):
    part = make_documents(6)
    found = compress(part, "longllmlingua", models["llama"], 0.5, coarse=True)
    compressor = load_compressor(str(models["llama"]), "longllmlingua", "cpu", 0)
    bodies = re.findall(r"Document .*", part.part.text)
    ranked = compressor.get_rank_results(bodies, QUESTION, "longllmlingua", "after", [0] * 6)
    order = [at for at, _ in ranked]
    whole = {at for at, body in enumerate(bodies) if body in found.text}
    assert whole == set(order[: len(whole)])


def test_documents_longer_than_the_model_reads_are_ranked_all_the_same(models):
    from frugalctl.levers.compress.llmlingua_rank import Scorer

    compressor = load_compressor(str(models["gpt2"]), "longllmlingua", "cpu", 0)
    scores = Scorer(compressor, "longllmlingua", QUESTION).score(
        [write_prose(60, 4), write_prose(2, 5)]
    )
    assert None not in scores


@pytest.mark.parametrize("method", ["llmlingua", "longllmlingua"])
def test_the_token_filter_s_failure_on_new_transformers_is_said(models, method):
    with pytest.raises(UsageError, match=r"token filter of .* transformers \d") as caught:
        compress(make_documents(8), method, models["llama"], 0.5)
    assert "llmlingua2" in caught.value.hint and "coarse" in caught.value.hint
    compressor = load_compressor(str(models["llama"]), method, "cpu", 0)
    assert "iterative_compress_prompt" not in vars(compressor)


@pytest.mark.parametrize("method", ["llmlingua", "longllmlingua"])
def test_the_token_filter_works_on_a_short_prompt(models, method):
    part = make_part("Answer briefly. " + write_prose(14, 8) + " Mind {place}.")
    found = compress(part, method, models["llama"], 0.6)
    assert not found.warnings
    assert "{place}" in found.text
    rest = iter(part.part.text)
    assert all(char in rest for char in found.text if not char.isspace())


def test_a_question_is_needed_where_the_method_needs_one(models):
    for question in (None, "  "):
        with pytest.raises(UsageError, match="needs a question"):
            compress(make_documents(2), "longllmlingua", models["llama"], 0.5, question=question)


@pytest.mark.parametrize("name", ["./missing", "/missing/model", "missing", "nobody/no-such-model"])
def test_a_missing_model_is_said_without_the_network(monkeypatch, name):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(InputError) as caught:
        compress(make_documents(2), "llmlingua2", name, 0.5)
    assert caught.value.where == name and caught.value.hint


def test_a_model_of_another_kind_is_refused(models, tmp_path):
    for method, shape in (("llmlingua2", "gpt2"), ("llmlingua", "xlm")):
        with pytest.raises(InputError, match="causal|classifier"):
            compress(make_documents(2), method, models[shape], 0.5)
    for name, text, match in (
        ("empty", None, "config.json"),
        ("broken", "{", "cannot be read"),
        ("list", "[]", "safetensors"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        if text is not None:
            (folder / "config.json").write_text(text)
        with pytest.raises(InputError, match=match):
            compress(make_documents(2), "llmlingua2", folder, 0.5)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        compress(make_documents(2), "llmlingua2", tmp_path / "file", 0.5)
    with pytest.raises(InputError, match="3 labels"):
        compress(make_documents(2), "llmlingua2", make_xlm_roberta(tmp_path / "three", 3), 0.5)


def test_no_such_device_is_said(models):
    settings = CompressSettings(method="llmlingua2", llm=str(models["xlm"]), device="cuda:9")
    with pytest.raises(UsageError, match="cuda:9"):
        compress_with_llmlingua([make_documents(2)], None, count, 50, settings)


def test_without_the_extra_its_name_is_said(models, monkeypatch):
    def fail(name: str):
        raise ImportError(name)

    monkeypatch.setattr(llmlingua_load, "import_module", fail)
    load_compressor.cache_clear()
    with pytest.raises(MissingExtraError) as caught:
        compress(make_documents(2), "llmlingua2", models["xlm"], 0.5)
    assert caught.value.hint == "pip install 'frugalctl[llmlingua]'"


def test_code_that_comes_with_a_model_is_never_run(models, tmp_path):
    import json
    import shutil

    folder = tmp_path / "remote"
    shutil.copytree(models["xlm"], folder)
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "evil.Config", "AutoModelForTokenClassification": "evil.M"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text("raise SystemExit('remote code was run')")
    compress(make_documents(2), "llmlingua2", folder, 0.5)


def test_a_span_is_protected_even_from_a_word_across_its_border(models):
    text = write_prose(8) + " pre77post " + write_prose(8, 1)
    at = text.index("77")
    part = Part(
        text, segments=(Segment(0, len(text), "prose"),), protected=(Span(at, at + 2, "number"),)
    )
    found = compress(
        CompressedPart(part, (Piece(0, len(text), text),)), "llmlingua2", models["xlm"], 0.3
    )
    assert "77" in found.text
