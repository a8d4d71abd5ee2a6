"""The noise of image i is a function of (seed, i) alone, whatever its batch or device."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from ddpm.core.stream import Stream


@dataclass
class SampleNoise:
    """Draws standard normal noise, each image from its own stream.

    Streams are drawn on the CPU, so that a seed means the same picture on every device.

    Attributes:
        seed: the seed of the whole set.
        indices: which images of the set this batch holds.
        shape: shape of one image (C, *space).
        device: where the noise is wanted.
    """

    seed: int
    indices: Sequence[int]
    shape: tuple[int, ...]
    device: torch.device | str = "cpu"
    _streams: list[Stream] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._streams = [Stream(self.seed, "image", i) for i in self.indices]

    def __call__(self) -> torch.Tensor:
        """The next (B, C, *space) of noise, float32."""
        return torch.stack([stream.normal(*self.shape) for stream in self._streams]).to(self.device)
