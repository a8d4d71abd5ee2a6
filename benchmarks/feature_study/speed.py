"""Images a second, in turns."""

import time
from collections.abc import Sequence

import torch
from side_by_side.contender import Spread, spread

from ddpm.metrics.features import Extractor
from ddpm.metrics.features.extract import CHUNK
from ddpm.metrics.features.inception import PIECE

ROUNDS = 5
SECONDS = 1.0
"""That a turn lasts at least."""
LARGE = 1000
"""Numbers an image from which on a network is so slow that a few images at a time will do."""


def speeds(extractors: Sequence[Extractor], threads: int, size: tuple[int, int]) -> dict[str, Spread]:
    """Median, lowest and highest of five rounds, after one that does not count."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    found: dict[str, list[float]] = {extractor.name: [] for extractor in extractors}
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (CHUNK, *size, 3), dtype=torch.uint8, generator=generator)
    for number in range(ROUNDS + 1):
        for extractor in extractors:
            rate = turn(extractor, images[: CHUNK if extractor.dim < LARGE else PIECE])
            if number:
                found[extractor.name].append(rate)
    torch.set_num_threads(before)
    return {name: spread(rates) for name, rates in found.items()}


def turn(extractor: Extractor, images: torch.Tensor) -> float:
    """Images a second, over as many as fill a second."""
    began, seen = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        extractor(images)
        seen += len(images)
    return seen / (time.perf_counter() - began)
