"""Features of many images, kept for the next time."""

import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ddpm.data.dataset import Dataset, Images
from ddpm.data.place import cache_folder
from ddpm.evaluation.features.extractor import Extractor

CHUNK = 256
"""Images that are looked at together: always as many, so that features do not depend on who asks."""


def extract(extractor: Extractor, images: Images, progress: Callable[[int, int], None] | None = None) -> torch.Tensor:
    """(N, D) float32; ``progress`` is called with (images done, in all)."""
    n = len(images)
    features = torch.empty(n, extractor.dim)
    for first in range(0, n, CHUNK):
        rows = np.arange(first, min(first + CHUNK, n))
        features[first : first + CHUNK] = extractor(torch.from_numpy(images.read(rows)))
        if progress is not None:
            progress(first + len(rows), n)
    return features


def extract_once(
    extractor: Extractor, data: Dataset, progress: Callable[[int, int], None] | None = None
) -> torch.Tensor:
    """The features of a data set, (N, D) float32, from the cache if the same images were seen by the same network.

    What is kept is of the whole data set and named by its content; a subset takes its rows.
    """
    whole = replace(data, rows=None)
    path = cache_folder() / "features" / f"{extractor.hash}-{data.fingerprint}.npy"
    features = _load(path, (len(whole), extractor.dim))
    if features is None:
        features = extract(extractor, whole, progress)
        _keep(path, features)
    return features if data.rows is None else features[torch.from_numpy(data.rows)]


def _load(path: Path, shape: tuple[int, int]) -> torch.Tensor | None:
    try:
        features = np.load(path)
    except (OSError, ValueError, EOFError):  # not there, or damaged
        return None
    return torch.from_numpy(features) if features.shape == shape else None


def _keep(path: Path, features: torch.Tensor) -> None:
    draft = path.with_name(f"{uuid.uuid4().hex}.tmp")
    with suppress(OSError):  # only the next time is slower
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            np.save(file, features.numpy())
        draft.replace(path)
    with suppress(OSError):
        draft.unlink(missing_ok=True)
