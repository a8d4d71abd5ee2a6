"""Extract features of many images, with a cache."""

from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import torch

from ddpm.data.dataset import Dataset, Images
from ddpm.metrics.features import Extractor
from ddpm.system.arrays import read_npy
from ddpm.system.cache import features_file
from ddpm.system.errors import InputError
from ddpm.system.files import write_file
from ddpm.system.progress import Progress, silent

CHUNK = 32
"""The batch size: always the same, as a network's sums may round differently in smaller batches, so that an image has
the same features in a set of any size; and small, so that 1024 × 1024 images take less than 1 GB."""


def extract(extractor: Extractor, images: Images, progress: Progress = silent) -> torch.Tensor:
    """Extract features, (N, D) float32; ``progress`` is called with (images done, total)."""
    n = len(images)
    features = torch.empty(n, extractor.dim)
    for first in range(0, n, CHUNK):
        rows = np.arange(first, first + CHUNK).clip(max=n - 1)  # padded with copies of the last image
        features[first : first + CHUNK] = extractor(torch.from_numpy(images.read(rows)))[: n - first]
        progress(min(first + CHUNK, n), n)
    return features


def extract_once(extractor: Extractor, data: Dataset, progress: Progress = silent) -> torch.Tensor:
    """Extract the features of a data set, (N, D) float32, or read them from the cache for these images and weights.

    The cache holds features of the whole data set, named by its content; a subset takes its rows.
    """
    assert data.fingerprint, "unprepared data has no fingerprint"
    whole = replace(data, rows=None)
    path = features_file(extractor.hash, data.fingerprint)
    features = _load(path, (len(whole), extractor.dim))
    if features is None:
        features, file = extract(extractor, whole, progress), BytesIO()
        np.save(file, features.numpy())
        with suppress(OSError, InputError):  # the next call is merely slower
            write_file(path, file.getvalue())
    return features if data.rows is None else features[torch.from_numpy(np.asarray(data.rows))]


def _load(path: Path, shape: tuple[int, int]) -> torch.Tensor | None:
    try:
        features = read_npy(path)
    except (OSError, ValueError):  # missing or damaged
        return None
    return torch.from_numpy(features) if features.shape == shape and features.dtype == np.float32 else None
