"""Values of 16 bits in 8, and back."""

import numpy as np
import numpy.typing as npt

STEP = 257
"""65,535 / 255: what a step of 8 bits is in 16."""


def to_8_bits(values: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
    """0 … 65,535 as 0 … 255, to the nearest."""
    return ((values.astype(np.int64) + STEP // 2) // STEP).astype(np.uint8)


def to_16_bits(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """0 … 255 as 0 … 65,535, from which :func:`to_8_bits` leads back."""
    return values.astype(np.uint16) * np.uint16(STEP)
