"""The matrix of vectors: float32 or int8, C order, as `.npy` without objects."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalctl.errors import InputError
from frugalctl.levers.semantic_cache.index.manifest import REBUILD, VECTORS, DtypeName, Manifest

Vectors = NDArray[np.float32] | NDArray[np.int8]
_DTYPES: dict[DtypeName, np.dtype[Any]] = {"float32": np.dtype("<f4"), "int8": np.dtype("i1")}
_HEADER_BYTES = 256
_HEADER_START = 10
# numpy's own reader evaluates the header; this reads what its writer writes, and no more
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(..)\{'descr': '([<|][a-z]\d)', 'fortran_order': False, "
    rb"'shape': \((\d{1,15}), (\d{1,15})\), \} *\n",
    re.DOTALL,
)
_LENGTH_TOLERANCE = 1e-3


def get_dtype(name: DtypeName) -> np.dtype[Any]:
    """The type of the matrix' elements."""
    return _DTYPES[name]


def check_vectors(vectors: NDArray[Any], entries: int, dimension: int) -> NDArray[np.float32]:
    """float32[n, d] in C order, of length 1 or 0.

    Raises:
        InputError: of another shape or length, or not finite.
    """
    if vectors.shape != (entries, dimension):
        raise InputError(
            f"{entries} entries need vectors of shape ({entries}, {dimension}), "
            f"not {tuple(vectors.shape)}"
        )
    plain = np.ascontiguousarray(vectors, dtype=np.float32)
    squares = np.einsum("ij,ij->i", plain, plain)
    if not (((squares - 1) ** 2 < 4 * _LENGTH_TOLERANCE**2) | (squares == 0)).all():
        raise InputError("vectors are not of length 1")
    return plain


def store_vectors(
    vectors: NDArray[np.float32], dtype: DtypeName
) -> tuple[Vectors, NDArray[np.float32]]:
    """The rows as they are stored, and what their products are divided by.

    An int8 row is scaled so that its largest component is 127: its direction errs by at most
    half a step in each component.

    Args:
        vectors: float32[n, d].
        dtype: how they are stored.

    Returns:
        float32[n, d] or int8[n, d], and float32[n]: the length of each int8 row, else 1.
    """
    norms = np.ones(len(vectors), dtype=np.float32)
    if dtype == "float32":
        return vectors, norms
    largest = np.abs(vectors).max(axis=1, initial=0)
    steps = np.where(largest > 0, largest, 1) / 127
    rows = np.rint(vectors / steps[:, None]).astype(np.int8)
    wide = rows.astype(np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    return rows, np.where(lengths > 0, lengths, norms)


def make_header(entries: int, dimension: int, dtype: DtypeName) -> bytes:
    """What stands before the rows in the file."""
    out = io.BytesIO()
    form: Any = {
        "descr": np.lib.format.dtype_to_descr(_DTYPES[dtype]),
        "fortran_order": False,
        "shape": (entries, dimension),
    }
    np.lib.format.write_array_header_1_0(out, form)
    return out.getvalue()


def view_bytes(rows: Any) -> Any:
    """The bytes of rows in C order, in place."""
    return rows.reshape(-1).view(np.uint8)


def view_vectors(data: Any, manifest: Manifest, where: str) -> Vectors:
    """The matrix in a mapped file, read in place.

    Raises:
        InputError: the file is not the matrix that the manifest says.
    """
    shape = (manifest.entries, manifest.dimension)
    dtype = _DTYPES[manifest.dtype]
    header = _HEADER.match(data[:_HEADER_BYTES])
    if (
        header is None
        or len(header[0]) != _HEADER_START + int.from_bytes(header[1], "little")
        or (header[2], int(header[3]), int(header[4])) != (dtype.str.encode(), *shape)
        or len(data) != header.end() + dtype.itemsize * shape[0] * shape[1]
    ):
        raise InputError(
            f"{VECTORS}: not {manifest.dtype}[{shape[0]}, {shape[1]}] as the manifest says",
            where=where,
            hint=REBUILD,
        )
    rows: Any = np.frombuffer(data, dtype=dtype, offset=header.end())
    return rows.reshape(shape)
