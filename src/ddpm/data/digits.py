"""The built-in data set: 1,797 handwritten digits of 8 × 8 pixels."""

import numpy as np

from ddpm.data.arrays import array_source
from ddpm.data.source import Source
from ddpm.system.errors import InputError


def open_digits() -> Source:
    """scikit-learn's digits (Alpaydin & Kaynak 1998), their 17 grey levels scaled to 0 … 255.

    Raises:
        InputError: if scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise InputError(
            "missing", "the digits require scikit-learn, which is not installed; run pip install scikit-learn"
        ) from None
    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    return array_source(images, digits.target, [str(i) for i in range(10)], where="the digits")
