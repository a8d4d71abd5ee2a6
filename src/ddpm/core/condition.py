"""Conditions: raw, and encoded for a network."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F

from ddpm.core.level import Scalar, scale
from ddpm.core.stream import RowStreams

Conditions = Mapping[str, torch.Tensor]
"""Raw conditions of a batch by kind: {"label": (B,) int64, "low_resolution": (B, h, w, C) uint8 …}."""


def select(conditions: Conditions, index: torch.Tensor | slice) -> dict[str, torch.Tensor]:
    """The raw conditions of some images, by indices (b,), which may repeat, or by a slice."""
    return {kind: raw[index] for kind, raw in conditions.items()}


_Pair = tuple[torch.Tensor | None, torch.Tensor | None]


class Conditioner(Protocol):
    """An encoder of one kind of condition, a module of the model."""

    def encode(self, raw: torch.Tensor) -> "Cond":
        """Encode raw conditions (B, …) for the network."""

    def null(self, n: int) -> "Cond | None":
        """The null condition, n rows; None for a kind that is always given."""

    def drop(self, raw: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The raw conditions, null where the mask, (B,) bool, is set; ``raw`` itself if its kind is always given."""

    def augment(self, raw: torch.Tensor, streams: RowStreams) -> torch.Tensor:
        """The raw conditions for training: with noise, for a kind that is augmented."""


EncodeHidden = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Images (B, *space, C) uint8 and their hidden pixels (B, *space) bool -> x0 (B, C', *space')."""


@runtime_checkable
class Absent(Protocol):
    """A conditioner of a kind that is always given, and can say that nothing is known."""

    def absent(self, encode: EncodeHidden, size: tuple[int, int], device: torch.device) -> torch.Tensor:
        """The raw condition (1, …) of an image of (H, W) of which nothing is known."""


@dataclass(frozen=True, slots=True)
class Cond:
    """A batch of encoded conditions; None means absent.

    Attributes:
        vector: (B, D), added to the time embedding, such as an embedded class label.
        image: (B, C, *space), concatenated to x as channels, such as an upscaled image.
        tokens: (B, L, E), attended to, such as an encoded caption, each multiplied by its weight.
        weights: (B, L), the weight of each token: 1 unless a prompt says otherwise, 0 for padding.
        raw: The raw conditions, for a network with its own encoder.
        towards: Where this leads between two conditions: the raw ones of the other end, and its share (B,).
        between: A weaker condition of the same images to guide through, such as their labels without their prompts;
            networks ignore it.
    """

    vector: torch.Tensor | None = None
    image: torch.Tensor | None = None
    tokens: torch.Tensor | None = None
    weights: torch.Tensor | None = None
    raw: Conditions | None = None
    between: "Cond | None" = None
    towards: "tuple[Conditions, torch.Tensor] | None" = None

    def __len__(self) -> int:
        """B."""
        return max((len(part) for part in (self.vector, self.image, self.tokens) if part is not None), default=0)

    def cat(self, other: "Cond") -> "Cond":
        """The conditions of this batch followed by those of another with the same parts; tokens are padded."""
        pairs = self._padded(other)
        tokens, weights = (None if one is None or two is None else torch.cat([one, two]) for one, two in pairs)
        raw = None
        if self.raw is not None and other.raw is not None:
            raw = {kind: torch.cat([self.raw[kind], other.raw[kind]]) for kind in self.raw.keys() & other.raw.keys()}
        between = None
        if self.between is not None and other.between is not None:
            between = self.between.cat(other.between)
        towards = None
        if self.towards is not None and other.towards is not None:
            (last, share), (others, theirs) = self.towards, other.towards
            towards = {kind: torch.cat([last[kind], others[kind]]) for kind in last}, torch.cat([share, theirs])
        vector, image = _cat(self.vector, other.vector), _cat(self.image, other.image)
        return Cond(vector, image, tokens, weights, raw, between, towards)

    def plus(self, other: "Cond") -> "Cond":
        """Both conditions combined: vectors are added, tokens concatenated; at most one of the two has an image.

        What either leads towards or is guided through is left out.
        """
        assert self.image is None or other.image is None
        vectors = [part for part in (self.vector, other.vector) if part is not None]
        image = self.image if other.image is None else other.image
        tokens = [part for part in (self.tokens, other.tokens) if part is not None]
        weighted = self.weights is not None or other.weights is not None
        weights = [one._weights(one.tokens) for one in (self, other) if one.tokens is not None] if weighted else []
        raw = None if self.raw is None and other.raw is None else {**(self.raw or {}), **(other.raw or {})}
        return Cond(
            torch.stack(vectors).sum(0) if vectors else None,
            image,
            torch.cat(tokens, 1) if tokens else None,
            torch.cat(weights, 1) if weights else None,
            raw,
        )

    def rows(self, index: torch.Tensor | slice) -> "Cond":
        """The conditions of some images, by indices (b,), which may repeat, or by a slice."""
        vector, image, tokens, weights = (
            None if part is None else part[index] for part in (self.vector, self.image, self.tokens, self.weights)
        )
        raw = None if self.raw is None else select(self.raw, index)
        between = None if self.between is None else self.between.rows(index)
        towards = None if self.towards is None else (select(self.towards[0], index), self.towards[1][index])
        return Cond(vector, image, tokens, weights, raw, between, towards)

    def crop(self, window: Sequence[slice]) -> "Cond":
        """The conditions for a window of the images, one slice per spatial axis."""
        between = None if self.between is None else self.between.crop(window)
        return self if self.image is None else replace(self, image=self.image[:, :, *window], between=between)

    def lerp(self, other: "Cond", share: Scalar) -> "Cond":
        """``(1 - share) · this + share · other``, part by part, with one share or (B,); exact at the ends.

        Labels are interpolated between their embeddings. If the numbers of tokens differ, the excess tokens are
        interpolated with zero.
        """
        tokens, weights = self._padded(other)
        between = towards = None
        if self.between is not None and other.between is not None:
            between = self.between.lerp(other.between, share)
        if self.raw is not None and other.raw is not None:
            towards = other.raw, torch.as_tensor(share).expand(len(self))
        return Cond(
            _lerp(self.vector, other.vector, share),
            _lerp(self.image, other.image, share),
            _lerp(*tokens, share),
            _lerp(*weights, share),
            self.raw,
            between,
            towards,
        )

    def instead_of(self, other: "Cond") -> "Cond":
        """Another batch with these vectors and tokens, of one row or as many, in place of its own; its images stay."""
        n = len(other)
        vector, tokens, weights = (
            None if part is None else part.expand(n, *part.shape[1:])
            for part in (self.vector, self.tokens, self.weights)
        )
        raw = None if self.raw is None else {kind: one.expand(n, *one.shape[1:]) for kind, one in self.raw.items()}
        return Cond(vector, other.image, tokens, weights, raw)

    def _padded(self, other: "Cond") -> tuple[_Pair, _Pair]:
        """The tokens of both, padded to the same length, and their weights; no weights if nothing is padded."""
        if self.tokens is None or other.tokens is None:
            assert self.tokens is None
            assert other.tokens is None
            return (None, None), (None, None)
        more = other.tokens.shape[1] - self.tokens.shape[1]
        tokens = F.pad(self.tokens, (0, 0, 0, max(more, 0))), F.pad(other.tokens, (0, 0, 0, max(-more, 0)))
        if more == 0 and self.weights is None and other.weights is None:
            return tokens, (None, None)
        own, theirs = self._weights(self.tokens), other._weights(other.tokens)
        return tokens, (F.pad(own, (0, max(more, 0))), F.pad(theirs, (0, max(-more, 0))))

    def _weights(self, tokens: torch.Tensor) -> torch.Tensor:
        """The weights; ones if there are none."""
        return torch.ones(tokens.shape[:2], device=tokens.device) if self.weights is None else self.weights


def _cat(a: torch.Tensor | None, b: torch.Tensor | None) -> torch.Tensor | None:
    assert (a is None) == (b is None)
    return None if a is None or b is None else torch.cat([a, b])


def _lerp(a: torch.Tensor | None, b: torch.Tensor | None, share: Scalar) -> torch.Tensor | None:
    assert (a is None) == (b is None)
    return None if a is None or b is None else scale(1 - share, a) + scale(share, b)
