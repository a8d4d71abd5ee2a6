"""Stored values, and their conversion between 8 and 16 bits."""

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""Stored values 0 … 255: (H, W), (H, W, C) or (N, H, W, C)."""

STEP = 257
"""65,535 / 255: the size of an 8-bit step in 16 bits."""


def to_8_bits(values: npt.NDArray[np.integer]) -> Pixels:
    """0 … 65,535 as 0 … 255, rounded to the nearest."""
    return ((values.astype(np.int64) + STEP // 2) // STEP).astype(np.uint8)


def to_16_bits(values: Pixels) -> npt.NDArray[np.uint16]:
    """0 … 255 as 0 … 65,535; :func:`to_8_bits` is the inverse."""
    return values.astype(np.uint16) * np.uint16(STEP)
