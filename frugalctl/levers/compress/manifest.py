r"""The manifest of a compression: every span kept or dropped and why, and the way back.

A JSON object::

    {"schema_version": 1, "frugalctl_version": "0.1.0", "shape": "text" | "chat",
     "model": "gpt-5.4-mini", "question": "..." | null, "budget_tokens": 800 | null,
     "original": {"sha256": "...", "chars": 5310, "tokens": 1207},
     "output": {"sha256": "...", "chars": 3100, "tokens": 796},
     "warnings": ["..."],
     "layout": {"indent": 2, "spaced": false, "ascii": false, "end": "\n"} | {"text": "..."},
     "parts": [{"path": "messages[1].content", "steps": ["messages", 1, "content"], "role": "user",
                "order": [2, 0, 1],
                "pieces": [{"start": 0, "end": 120, "kind": "document", "score": 1.7},
                           {"start": 120, "end": 180, "kind": "document", "text": "",
                            "original": "...", "reason": "not relevant", "score": -0.4}]}]}

A piece without `text` is kept as it was; one with it was changed, or dropped where it is empty,
and has the `original` unless it was inserted. Offsets are in characters of the part's original
text. `order` is there where the output has the pieces in another order. `layout`, of a chat, says
how its JSON was written: `restore` gives back the very same file. The digests are of the UTF-8
bytes; a file or a manifest that does not fit them is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, cast

from frugalctl import __version__
from frugalctl.errors import InputError
from frugalctl.levers.compress.json_text import decode_exact, encode_json
from frugalctl.levers.compress.pieces import CompressedPart, Piece, Segment
from frugalctl.levers.compress.prompt import (
    Path,
    Prompt,
    get_text,
    rebuild_value,
    replace_texts,
)

SCHEMA_VERSION = 1

_NOT_THIS = "is not the output that this manifest was written for"
_INDENTS = (None, 2, 4, 1, "\t")


def write_output(prompt: Prompt, parts: Sequence[CompressedPart]) -> str:
    """The compressed prompt as a text: plain text, or JSON written as the original was."""
    value = rebuild_value(prompt, parts)
    if prompt.shape == "text":
        return value
    return _dump(value, _find_layout(prompt))


def write_manifest(
    prompt: Prompt,
    parts: Sequence[CompressedPart],
    output: str,
    *,
    tokens: tuple[int, int],
    model: str,
    question: str | None = None,
    budget_tokens: int | None = None,
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """The manifest of a compression, ready to be written as JSON.

    Args:
        prompt: the original.
        parts: what it has become.
        output: as `write_output` gives it.
        tokens: of the original and of the output.
        model: whose tokens were counted.
        question: what the prompt was compressed by.
        budget_tokens: how many tokens could be left.
        warnings: what the user should know.
    """
    layout = _find_layout(prompt) if prompt.shape == "chat" else None
    original = prompt.parts[0].text if prompt.shape == "text" else _original(prompt, layout)
    return {
        "schema_version": SCHEMA_VERSION,
        "frugalctl_version": __version__,
        "shape": prompt.shape,
        "model": model,
        "question": question,
        "budget_tokens": budget_tokens,
        "original": _describe_text(original, tokens[0]),
        "output": _describe_text(output, tokens[1]),
        "warnings": list(warnings),
        **({"layout": layout} if layout is not None else {}),
        "parts": [
            _describe_part(part, prompt.paths[at] if prompt.paths else ())
            for at, part in enumerate(parts)
        ],
    }


def restore(output: str, manifest: Any) -> str:
    """The original text, exactly, from the output and its manifest.

    Raises:
        InputError: the manifest is broken or of another schema, the output is not the one that it
            was written for, or either was changed since.
    """
    fields = cast("dict[str, Any]", manifest if isinstance(manifest, dict) else {})
    version = fields.get("schema_version")
    if type(version) is not int or version != SCHEMA_VERSION:
        raise InputError(f"is not a manifest of schema {SCHEMA_VERSION}", where="manifest")
    try:
        if _digest(output) != fields["output"]["sha256"]:
            raise InputError(_NOT_THIS, hint="it was changed, or belongs to another prompt")
        original = _restore(output, fields)
        fits = _digest(original) == fields["original"]["sha256"]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"is broken: {error!r}", where="manifest") from None
    if not fits:
        raise InputError("does not give back the original: it was changed", where="manifest")
    return original


def _restore(output: str, fields: dict[str, Any]) -> str:
    if fields["shape"] == "text":
        return _restore_part(output, fields["parts"][0])
    layout = fields["layout"]
    if "text" in layout:
        return layout["text"]
    if type(layout["indent"]) is bool or layout["indent"] not in _INDENTS:
        raise ValueError("layout")
    value = decode_exact(output)
    paths: list[Path] = [tuple(part["steps"]) for part in fields["parts"]]
    texts = [
        _restore_part(get_text(value, path), part)
        for path, part in zip(paths, fields["parts"], strict=True)
    ]
    return _dump(replace_texts(value, paths, texts), layout)


def _restore_part(output: str, part: dict[str, Any]) -> str:
    pieces: list[dict[str, Any]] = part["pieces"]
    originals = [""] * len(pieces)
    at = 0
    order: Sequence[int] = part.get("order", range(len(pieces)))
    for index in order:
        piece = pieces[index]
        if "text" in piece:
            at += len(piece["text"])
            originals[index] = piece.get("original", "")
        else:
            end = at + piece["end"] - piece["start"]
            originals[index] = output[at:end]
            at = end
    if at != len(output):
        raise InputError(_NOT_THIS)
    return "".join(originals)


def _describe_text(text: str, tokens: int) -> dict[str, Any]:
    return {"sha256": _digest(text), "chars": len(text), "tokens": tokens}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _describe_part(compressed: CompressedPart, path: Path) -> dict[str, Any]:
    part = compressed.part
    described: dict[str, Any] = {"path": part.path}
    if path:
        described["steps"] = list(path)
    if part.role is not None:
        described["role"] = part.role
    if compressed.order is not None:
        described["order"] = list(compressed.order)
    at = 0
    pieces: list[dict[str, Any]] = []
    for piece in compressed.pieces:
        while at + 1 < len(part.segments) and part.segments[at].end <= piece.start:
            at += 1
        segment = part.segments[at] if part.segments else None
        pieces.append(_describe_piece(part.text, piece, segment))
    described["pieces"] = pieces
    return described


def _describe_piece(text: str, piece: Piece, segment: Segment | None) -> dict[str, Any]:
    described: dict[str, Any] = {"start": piece.start, "end": piece.end}
    if segment is not None:
        described["kind"] = segment.kind
    original = text[piece.start : piece.end]
    if piece.text != original:
        described["text"] = piece.text
        if original:
            described["original"] = original
    if piece.reason:
        described["reason"] = piece.reason
    if piece.score is not None:
        described["score"] = round(piece.score, 6)
    return described


def _find_layout(prompt: Prompt) -> dict[str, Any]:
    """How a chat's JSON was written, or its whole text where that is none of the usual ways."""
    source = prompt.source
    if source is None:
        return {"indent": None, "spaced": False, "ascii": False, "end": ""}
    body = source.rstrip("\r\n \t")
    end = source[len(body) :]
    # The first line and the first colon tell most ways apart, so few are tried on a large file.
    for indent in _INDENTS if "\n" in body else (None,):
        for spaced in (True, False) if indent is None else (True,):
            for ascii_only in (False, True):
                layout = {"indent": indent, "spaced": spaced, "ascii": ascii_only, "end": end}
                if _is_written(prompt.value, layout, source):
                    return layout
    return {"text": source}


def _is_written(value: Any, layout: dict[str, Any], source: str) -> bool:
    try:
        return _dump(value, layout) == source
    except InputError:
        return False


def _original(prompt: Prompt, layout: dict[str, Any] | None) -> str:
    return prompt.source if prompt.source is not None else _dump(prompt.value, layout or {})


def _dump(value: Any, layout: dict[str, Any]) -> str:
    indent = layout.get("indent")
    spaced = layout.get("spaced") or indent is not None
    text = encode_json(
        value,
        ascii_only=layout.get("ascii", False),
        indent=indent,
        separators=("," if indent is not None or not spaced else ", ", ": " if spaced else ":"),
    )
    return text + layout.get("end", "\n")
