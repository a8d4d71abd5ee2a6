"""Stored images."""

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""Stored values 0 … 255: (H, W), (H, W, C) or (N, H, W, C)."""
