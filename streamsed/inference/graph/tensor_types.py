"""The permitted types of tensors: a few data types, and bounded shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

MAX_RANK = 6
MAX_SIZE = 1 << 24
"""Maximum size of a dimension."""

FLOAT, UINT8, INT8, INT32, INT64, FLOAT16 = 1, 2, 3, 6, 7, 10
DTYPES: dict[int, np.dtype[Any]] = {
    FLOAT: np.dtype("<f4"),
    UINT8: np.dtype("u1"),
    INT8: np.dtype("i1"),
    INT32: np.dtype("<i4"),
    INT64: np.dtype("<i8"),
    FLOAT16: np.dtype("<f2"),
}
"""NumPy data types of TensorProto.DataType."""

Shape = tuple[int, ...]


class TensorType(NamedTuple):
    """Type of a value: one of `DTYPES`, and a fixed shape."""

    dtype: int
    shape: Shape


def checked_shape(sizes: Sequence[int]) -> Shape:
    """Return a shape after checking that its sizes are in bounds.

    Raises
    ------
    ValueError
        It has too many dimensions, or one is not from 1 to `MAX_SIZE`.
    """
    if len(sizes) > MAX_RANK or not all(1 <= size <= MAX_SIZE for size in sizes):
        raise ValueError(
            f"its graph has a tensor whose shape is out of bounds ({list(sizes[:8])})"
        )
    return tuple(sizes)
