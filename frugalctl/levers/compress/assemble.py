"""Pieces of what is kept, with as much white space between them as there was."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from frugalctl.levers.compress.pieces import CompressedPart, Piece
from frugalctl.levers.compress.settings import Reorder
from frugalctl.levers.compress.units import Atom

NOT_RELEVANT = "less relevant to the question than what is kept"
NOT_CENTRAL = "less central than what is kept, or said already"
BETWEEN = "\n\n"
AROUND_DROPPED = "stood around what was dropped"


def join_kept(atoms: Sequence[Atom], kept: Sequence[bool]) -> str:
    """The text that a part becomes.

    Args:
        atoms: of the part, in order.
        kept: of each, whether it stays; for gaps it is decided here.
    """
    is_kept = keep_gaps(atoms, kept)
    return "".join(atom.text for atom, stays in zip(atoms, is_kept, strict=True) if stays)


def keep_gaps(atoms: Sequence[Atom], kept: Sequence[bool]) -> list[bool]:
    """Whether each atom stays, gaps included.

    Where nothing was dropped in between all gaps stay. Where something was, the one with the most
    line ends of them stands for all, unless the text before it ends in as many.
    """
    result = list(kept)
    waiting: list[int] = []
    last, dropped = "", False
    for at, atom in enumerate(atoms):
        if atom.role == "gap":
            waiting.append(at)
        elif kept[at]:
            for gap in _choose_gaps(atoms, waiting, last) if dropped else waiting:
                result[gap] = True
            last, dropped, waiting = atom.text or last, False, []
        else:
            dropped = dropped or bool(atom.text)
    if waiting and waiting[-1] == len(atoms) - 1:
        result[waiting[-1]] = True
    return result


def make_part(
    part: CompressedPart,
    atoms: Sequence[Atom],
    kept: Sequence[bool],
    scores: Sequence[float | None],
    reason: str,
) -> CompressedPart:
    """The part with the text of what is not kept set to nothing.

    Args:
        part: as it was.
        atoms: of the part.
        kept: of each atom, gaps included.
        scores: of each atom, None where it was not scored.
        reason: why an atom was dropped.
    """
    pieces: list[Piece] = []
    for at, atom in enumerate(atoms):
        score = scores[at]
        if kept[at] and score is None:
            pieces.extend(atom.pieces)
        elif kept[at]:
            pieces.extend(replace(piece, score=score) for piece in atom.pieces)
        else:
            why = AROUND_DROPPED if atom.role in ("gap", "frame") else reason
            pieces.extend(_drop(piece, why, score) for piece in atom.pieces)
    return replace(part, pieces=tuple(pieces))


def reorder_documents(
    part: CompressedPart, atoms: Sequence[Atom], relevance: Mapping[int, float], how: Reorder
) -> CompressedPart:
    """The part with the documents that follow each other in another order.

    Args:
        part: as `make_part` made it.
        atoms: of the part.
        relevance: of each block, where known.
        how: the most relevant "first", or the best two at both "ends", the next within, and so on
            (Liu et al., "Lost in the Middle", arXiv:2307.03172).
    """
    owners = [atom.block if atom.kind == "document" else -1 for atom in atoms for _ in atom.pieces]
    pieces: list[Piece] = []
    order: list[int] = []
    for run in _find_runs(owners):
        blocks: dict[int, list[Piece]] = {}
        for at in run:
            blocks.setdefault(owners[at], []).append(part.pieces[at])
        ranked = _rank(blocks, relevance, how)
        _set_apart([blocks[block] for block in ranked])
        places: dict[int, range] = {}
        for block, own in blocks.items():
            places[block] = range(len(pieces), len(pieces) + len(own))
            pieces.extend(own)
        order.extend(at for block in ranked for at in places[block])
    if order == sorted(order):
        return part
    return replace(part, pieces=tuple(pieces), order=tuple(order))


def _rank(
    blocks: Mapping[int, Sequence[Piece]], relevance: Mapping[int, float], how: Reorder
) -> list[int]:
    """The blocks in their new order, those of which nothing is kept at the end."""
    empty = {block: not _join(own) for block, own in blocks.items()}
    ranked = sorted(blocks, key=lambda block: (empty[block], -relevance.get(block, -math.inf)))
    kept = sum(not is_empty for is_empty in empty.values())
    if how == "ends":
        ranked = [*ranked[:kept:2], *ranked[1:kept:2][::-1], *ranked[kept:]]
    return ranked


def _set_apart(documents: Sequence[list[Piece]]) -> None:
    """White space after a document that had none, now that another follows."""
    kept = [own for own in documents if _join(own)]
    for own in kept[:-1]:
        if not _join(own)[-1].isspace():
            own.append(Piece(own[-1].end, own[-1].end, BETWEEN, "keeps documents apart"))


def _join(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def _choose_gaps(atoms: Sequence[Atom], gaps: Sequence[int], before: str) -> list[int]:
    if not gaps or not before:
        return []
    widest = max(gaps, key=lambda gap: atoms[gap].text.count("\n"))
    text = atoms[widest].text
    tail = before[len(before.rstrip()) :]
    is_marker = before.lstrip(" \t>").startswith(("```", "~~~"))
    if tail and (is_marker or tail.count("\n") >= text.count("\n")):
        return []
    return [widest]


def _drop(piece: Piece, reason: str, score: float | None) -> Piece:
    if not piece.text:
        return piece
    return Piece(piece.start, piece.end, "", reason, score)


def _find_runs(owners: Sequence[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    for at, owner in enumerate(owners):
        if runs and (owner < 0) == (owners[at - 1] < 0):
            runs[-1].append(at)
        else:
            runs.append([at])
    return runs
