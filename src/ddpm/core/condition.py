"""What a sample is asked to be, in the form that the network takes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import torch

from ddpm.core.level import Scalar, scale


@dataclass(frozen=True, slots=True)
class Cond:
    """A batch of conditions; what is None is not asked for.

    Attributes:
        vector: (B, D), added to the time embedding: an embedded class label.
        image: (B, C, *space), beside x as further channels: a small image, enlarged.
        labels: (B,) int64, the classes that ``vector`` embeds, for a network that embeds them otherwise.
    """

    vector: torch.Tensor | None = None
    image: torch.Tensor | None = None
    labels: torch.Tensor | None = None

    def __len__(self) -> int:
        """B."""
        return max((len(part) for part in (self.vector, self.image) if part is not None), default=0)

    def cat(self, other: "Cond") -> "Cond":
        """The 2B conditions of this batch, then the other, which asks for the same parts."""
        parts = zip(self._parts, other._parts, strict=True)
        return Cond(*(_cat(mine, theirs) for mine, theirs in parts))

    def plus(self, other: "Cond") -> "Cond":
        """Both at once: vectors are added; at most one of the two has an image."""
        assert self.image is None or other.image is None
        vectors = [part for part in (self.vector, other.vector) if part is not None]
        image = self.image if other.image is None else other.image
        labels = self.labels if other.labels is None else other.labels
        return Cond(torch.stack(vectors).sum(0) if vectors else None, image, labels)

    def rows(self, index: torch.Tensor | slice) -> "Cond":
        """The conditions of some images, (b,) by number and as often as named, or a slice."""
        return Cond(*(None if part is None else part[index] for part in self._parts))

    def crop(self, window: Sequence[slice]) -> "Cond":
        """The conditions of a window of the images, one slice a spatial axis."""
        return self if self.image is None else replace(self, image=self.image[:, :, *window])

    def lerp(self, other: "Cond", share: Scalar) -> "Cond":
        """``(1 - share) · this + share · other`` of the same parts, one share for all or (B,); exact at the ends.

        Of labels: the point that far between their embeddings.
        """
        return Cond(_lerp(self.vector, other.vector, share), _lerp(self.image, other.image, share))

    def instead_of(self, other: "Cond") -> "Cond":
        """This one row in place of each vector of another batch, whose images stay."""
        vector = None if self.vector is None else self.vector.expand(len(other), -1)
        return Cond(vector, other.image, None if self.labels is None else self.labels.expand(len(other)))

    @property
    def _parts(self) -> tuple[torch.Tensor | None, ...]:
        return self.vector, self.image, self.labels


def _cat(a: torch.Tensor | None, b: torch.Tensor | None) -> torch.Tensor | None:
    assert (a is None) == (b is None)
    return None if a is None or b is None else torch.cat([a, b])


def _lerp(a: torch.Tensor | None, b: torch.Tensor | None, share: Scalar) -> torch.Tensor | None:
    assert (a is None) == (b is None)
    return None if a is None or b is None else scale(1 - share, a) + scale(share, b)


class LowResolution(NamedTuple):
    """Images to be made larger, before they are a condition.

    Attributes:
        image: (B, C, *space), enlarged to the size of x, with noise of strength s.
        s: (B,) in [0, 1]; 0 for no noise.
    """

    image: torch.Tensor
    s: torch.Tensor

    def part(self, where: slice) -> Self:
        """Those of some of the images."""
        return type(self)(self.image[where], self.s[where])
