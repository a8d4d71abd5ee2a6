"""Nothing of float64 reaches a device, as some (MPS) have none: shown with "meta", whose tensors hold no data."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ddpm.codec import PixelCodec
from ddpm.conditioning import LowResolution
from ddpm.constraints import DDNM, MMPS, AveragePool, Blur, Composed, Grey, Mask, Replacement
from ddpm.core import Denoised, Level
from ddpm.core.stream import RowStreams
from ddpm.networks.embeddings import TimeEmbedding
from ddpm.sampling.windows import Windows

META = torch.device("meta")
LEVEL = Level(500.0, 0.6, 0.8)


class NoDouble(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and out.device == META:
            assert out.dtype != torch.float64, func
        return out


def images(*space: int) -> torch.Tensor:
    return torch.empty(2, 3, *space, device=META)


def known() -> Mask:
    return Mask(torch.zeros(1, 1, 8, 8, dtype=torch.bool, device=META))


OPERATORS: dict[str, Callable[[], Any]] = {
    "blur": lambda: Blur(1.0),
    "grey": Grey,
    "pool": lambda: AveragePool(2),
    "mask": known,
    "composed": lambda: Composed(Blur(1.0), Grey()),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_constraints(name: str) -> None:
    operator = OPERATORS[name]()
    y = operator.forward(images(8, 8))
    with NoDouble():
        held = DDNM(lambda x, level, cond=None: Denoised(x), operator, y, noise=0.1)
        assert held(images(8, 8), LEVEL).x0.device == META
        told = MMPS(lambda x, level, cond=None: Denoised(x.tanh()), operator, y, noise=0.1)
        assert told(images(8, 8), LEVEL).x0.device == META
        assert Replacement(operator, y)(images(8, 8), LEVEL, lambda: images(8, 8)).device == META


def test_windows_and_small_images() -> None:
    with NoDouble():
        large = Windows(lambda x, level, cond=None: Denoised(x), (8, 8))(images(12, 9), LEVEL)
        assert large.x0.device == META
        low = LowResolution(TimeEmbedding(8, 4).to(META), PixelCodec(), 2, 0.5)
        assert low.encode(torch.empty(2, 4, 4, 3, dtype=torch.uint8, device=META)).vector.device == META
        small = torch.empty(2, 4, 4, 3, dtype=torch.uint8, device=META)
        shown = low.encode(low.augment(small, RowStreams(0, 0, 2, range(2))))
        assert shown.image.device == shown.vector.device == META
