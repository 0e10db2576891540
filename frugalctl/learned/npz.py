"""Arrays in npz files, read as if made to do harm: no pickle, and no claim is believed."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections.abc import Mapping
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from frugalctl.files import replacing

MAX_MAGNITUDE = 1e9
"""No number in a file is larger, or it is not finite."""

BROKEN = (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged file raises."""

_MAX_BYTES = 64 << 20
_BROKEN_HEADER = (ValueError, TypeError, SyntaxError, TokenError, RecursionError, MemoryError)

Arrays = dict[str, NDArray[Any]]


def write_arrays(path: str, arrays: Arrays) -> None:
    """Write arrays; the same arrays make the same bytes.

    Raises:
        OutputError: the target cannot be written.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def read_arrays(path: str, dtypes: Mapping[str, str]) -> Arrays:
    """Read the arrays that a file must hold.

    Args:
        path: the file.
        dtypes: name -> type, of all arrays in it.

    Raises:
        OSError, ValueError and the others of `BROKEN`: the file is not that.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if sorted(member.filename for member in members) != sorted(f"{x}.npy" for x in dtypes):
            raise ValueError("it holds other arrays than a scorer does")
        if sum(member.file_size for member in members) > _MAX_BYTES:
            raise ValueError("it is larger than a scorer can be")
        return {
            name: _parse_array(name, archive.read(f"{name}.npy"), dtype)
            for name, dtype in dtypes.items()
        }


def _parse_array(name: str, data: bytes, dtype: str) -> NDArray[Any]:
    """An array from the bytes of an npy file, whose header may claim anything."""
    stream = io.BytesIO(data)
    try:
        if npy.read_magic(stream) != (1, 0):
            raise ValueError("another version")
        shape, by_column, found = npy.read_array_header_1_0(stream)
    except _BROKEN_HEADER:
        raise ValueError(f"{name} has no header of npy 1.0") from None
    if found != np.dtype(dtype) or by_column:
        raise ValueError(f"{name} is not of type {dtype}")
    body = data[stream.tell() :]
    if len(body) != math.prod(shape) * found.itemsize:
        raise ValueError(f"{name} has not the size that it claims")
    array: NDArray[Any] = np.frombuffer(body, found).reshape(shape)
    # wider, because the limit itself is too large for a half-precision number
    if not (np.abs(array.astype(np.float64)) <= MAX_MAGNITUDE).all():
        raise ValueError(f"{name} has numbers that are not finite")
    return array
