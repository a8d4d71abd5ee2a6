"""The noise of an image, a function of its seed and index only, whatever its batch or device."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from ddpm.core.stream import Stream


class Row(NamedTuple):
    """The image of a row of a batch: image ``number`` of a seed's infinite sequence."""

    seed: int
    number: int


def rows_of(seed: int, indices: Iterable[int]) -> list[Row]:
    """Return rows for images of one seed."""
    return [Row(seed, i) for i in indices]


@dataclass
class SampleNoise:
    """A source of standard normal noise, each row from its own stream.

    Streams are drawn on the CPU, so that a seed gives the same picture on every device. Rows of different seeds may
    share a batch.

    Attributes:
        rows: the images of the batch.
        shape: the shape of one image (C, *space).
        device: the device of the noise.
        purpose: the name of the streams; different names give different noise.
    """

    rows: Sequence[Row]
    shape: tuple[int, ...]
    device: torch.device | str = "cpu"
    purpose: str = "image"
    _streams: list[Stream] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._streams = [Stream(row.seed, self.purpose, row.number) for row in self.rows]

    def __call__(self) -> torch.Tensor:
        """Draw the next noise (B, C, *space), float32."""
        return torch.stack([stream.normal(*self.shape) for stream in self._streams]).to(self.device)
