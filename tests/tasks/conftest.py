from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from tests.tiny import pipeline

from ddpm.pipeline import Pipeline


@pytest.fixture(name="pipeline", scope="session")
def pipeline_of() -> Callable[..., Pipeline]:
    """Mode and kind of network -> pipeline."""
    return pipeline


def noise(mode: str, size: tuple[int, int] = (8, 8), seed: int = 0) -> Image.Image:
    """A picture whose pixels are all random, alpha included."""
    bands = {"L": (), "LA": (2,), "RGB": (3,), "RGBA": (4,), "I;16": ()}[mode]
    top, kind = (65536, np.uint16) if mode == "I;16" else (256, np.uint8)
    return Image.fromarray(np.random.default_rng(seed).integers(0, top, (*size, *bands)).astype(kind))
