"""The weights of our networks and those of other programs, converted in both directions."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch

from ddpm.exchange.tensors import ForeignTensors
from ddpm.system.errors import InputError

Parts = list[torch.Tensor]


def _alone(parts: Parts) -> torch.Tensor:
    (tensor,) = parts
    return tensor


@dataclass(frozen=True)
class Correspondence:
    """One of our tensors, and the tensors of another program that it consists of.

    Attributes:
        ours: its name in our network.
        theirs: their names.
        join: their tensors -> ours.
        split: ours -> their tensors, the exact inverse of ``join``.
    """

    ours: str
    theirs: tuple[str, ...]
    join: Callable[[Parts], torch.Tensor] = _alone
    split: Callable[[torch.Tensor], Parts] = lambda tensor: [tensor]


def layer(ours: str, theirs: str) -> Iterator[Correspondence]:
    """The weight and the bias of a layer that both have."""
    for part in ("weight", "bias"):
        yield Correspondence(f"{ours}.{part}", (f"{theirs}.{part}",))


def stacked(ours: str, *theirs: str) -> Correspondence:
    """A tensor whose equal parts along the first axis are several of theirs, such as queries, keys and values."""
    return Correspondence(ours, theirs, torch.cat, lambda tensor: list(tensor.chunk(len(theirs))))


def reshaped(ours: str, theirs: str, shape: tuple[int, ...], their_shape: tuple[int, ...]) -> Correspondence:
    """A tensor with other axes, such as a linear layer that is a convolution of kernel 1 there."""
    return Correspondence(
        ours, (theirs,), lambda parts: _alone(parts).reshape(shape), lambda tensor: [tensor.reshape(their_shape)]
    )


def reordered(ours: str, theirs: str, order: torch.Tensor, axis: int) -> Correspondence:
    """A tensor whose entries along an axis are theirs in another order: ours[i] = theirs[order[i]]."""
    back = order.argsort()
    return Correspondence(
        ours,
        (theirs,),
        lambda parts: _alone(parts).index_select(axis, order),
        lambda tensor: [tensor.index_select(axis, back)],
    )


def cosines_first(ours: str, theirs: str, n: int) -> Correspondence:
    """The weight of a layer of n sines and cosines of time, of which theirs puts the cosines first."""
    return reordered(ours, theirs, torch.arange(n).roll(n // 2), 1)


def channels_last(ours: str, theirs: str, area: int, channels: int) -> Iterator[Correspondence]:
    """The weight and the bias of a layer that returns patches, of which theirs puts the channels of a pixel together.

    Args:
        area: the number of pixels of a patch.
    """
    order = torch.arange(area * channels).reshape(area, channels).T.flatten()  # (p · p · C) as (C · p · p)
    for part in ("weight", "bias"):
        yield reordered(f"{ours}.{part}", f"{theirs}.{part}", order, 0)


def read(
    pairs: Iterable[Correspondence], tensors: ForeignTensors, like: Mapping[str, torch.Tensor] | None = None
) -> dict[str, torch.Tensor]:
    """Our weights from theirs.

    Args:
        like: tensors with the shapes of ours, such as those of a network on the device "meta", to check theirs by.

    Raises:
        InputError: a tensor is missing, or has another shape, or is not of floating point.
    """
    found = {}
    for pair in pairs:
        shapes = [None] * len(pair.theirs) if like is None else [tuple(t.shape) for t in pair.split(like[pair.ours])]
        parts = [tensors.take(name, shape) for name, shape in zip(pair.theirs, shapes, strict=True)]
        if odd := [name for name, part in zip(pair.theirs, parts, strict=True) if not part.is_floating_point()]:
            raise InputError(
                "incompatible", f"{tensors.source} has {odd[0]} in another type than floating point; download it again"
            )
        found[pair.ours] = pair.join(parts).contiguous()
    return found


def write(pairs: Iterable[Correspondence], weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Their tensors from our weights."""
    found = {}
    for pair in pairs:
        for name, tensor in zip(pair.theirs, pair.split(weights[pair.ours]), strict=True):
            found[name] = tensor.contiguous()
    return found
