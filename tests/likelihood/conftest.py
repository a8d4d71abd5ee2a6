from pathlib import Path

import numpy as np
import pytest

from ddpm.data.cache import prepare
from ddpm.data.open import open_source
from ddpm.images.geometry import Geometry
from ddpm.images.pixels import Pixels
from ddpm.pipeline import Pipeline, load


@pytest.fixture(scope="session")
def pipe(digits_run: Path) -> Pipeline:
    return load(digits_run, "cpu")


@pytest.fixture(scope="session")
def images() -> Pixels:
    """18 digits, more than a batch is filled up to; (18, 8, 8, 1)."""
    return prepare(open_source("digits"), Geometry()).read(np.arange(18))
