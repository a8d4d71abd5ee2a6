"""LPIPS: a distance between the features of two images that is calibrated to people's judgements."""

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from ddpm.metrics.features.rgb import on_white
from ddpm.metrics.features.weights import extractor_hash, fill, read_weights
from ddpm.system.errors import InputError
from ddpm.system.meta import shapes_only

SLICES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""The channels of the convolutions of VGG-16; the last of each slice is compared, and the slices are pooled between."""
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""The mean and the standard deviation of each colour in [-1, 1]."""
LEAST_SIDE = 16
"""The smallest side that can be halved four times."""
PREPARATION = f"lpips 1; ({SHIFT}, {SCALE}); alpha on white; sides of at least {LEAST_SIDE}"
"""Changed whenever the same weights would give another distance."""
PUBLISHED = 'the whole state dict of lpips.LPIPS(net="vgg"), with its VGG-16'


class VGG16(nn.Module):
    """The convolutions of VGG-16 (Simonyan and Zisserman 2015, D), numbered as the published weights number them."""

    def __init__(self) -> None:
        super().__init__()
        channels, number = 3, 0
        self.slices: list[nn.ModuleDict] = []  # not registered under this name
        for i, widths in enumerate(SLICES, 1):
            convolutions = nn.ModuleDict()
            for width in widths:
                convolutions[str(number)] = nn.Conv2d(channels, width, 3, padding=1)
                channels, number = width, number + 2  # a ReLU follows each
            number += 1  # and a pool each slice
            self.add_module(f"slice{i}", convolutions)
            self.slices.append(convolutions)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(B, 3, H, W), H and W at least 16 -> relu1_2, 2_2, 3_3, 4_3 and 5_3: (B, C, H / 2^i, W / 2^i)."""
        found: list[torch.Tensor] = []
        for convolutions in self.slices:
            if found:
                x = F.max_pool2d(x, 2)
            for convolution in convolutions.values():
                x = F.relu(convolution(x), inplace=True)
            found.append(x)
        return found


class LPIPSNetwork(nn.Module):
    """VGG-16 and a linear head for each of its slices, under the published names."""

    def __init__(self) -> None:
        super().__init__()
        self.net = VGG16()
        self.heads = [nn.Conv2d(widths[-1], 1, 1, bias=False) for widths in SLICES]  # not registered under this name
        for i, head in enumerate(self.heads):
            # number 0 is the dropout of their training
            self.add_module(f"lin{i}", nn.ModuleDict({"model": nn.ModuleDict({"1": head})}))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(B, 3, H, W) -> the features of each slice, (B, C, h, w) float32, with length 1 over the channels."""
        maps = [features.float() for features in self.net(x)]
        # the gradient of this norm at 0 is 0; that of sqrt would not be finite
        return [a / (torch.linalg.vector_norm(a, dim=1, keepdim=True) + 1e-10) for a in maps]


class LPIPS:
    """LPIPS 0.1 with VGG-16 (Zhang et al. 2018, eq. 1): ``Σ_l mean_hw Σ_c w_lc (f_lc(x) - f_lc(y))²``.

    The features f at each position have length 1 over the channels, and the weights w of the heads are not negative.
    Pictures with an alpha channel are composited on white; those with a side below 16 are enlarged by the smallest
    sufficient integer, repeating pixels.

    Args:
        state: the weights, under the names of ``lpips.LPIPS(net="vgg").state_dict()``.
        source: the origin of the weights, for messages.

    Attributes:
        hash: of the weights and the preprocessing, 16 hex digits.

    Raises:
        InputError: a weight is missing, left over, of another shape or out of range.
    """

    def __init__(self, state: Mapping[str, torch.Tensor], device: torch.device, source: str = "the state dict") -> None:
        with shapes_only():
            network = LPIPSNetwork()
        fill(network, _once(state, source), source, PUBLISHED)
        for name, w in network.state_dict().items():
            if not w.isfinite().all():
                raise InputError("incompatible", f"{source} has values of {name} that are not finite; use {PUBLISHED}")
            if name.startswith("lin") and (w < 0).any():
                raise InputError(
                    "incompatible",
                    f"{source} has negative values of {name}, with which LPIPS is not a distance; use {PUBLISHED}",
                )
        self.hash = extractor_hash(network.state_dict(), PREPARATION)
        network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = network.eval().requires_grad_(False)
        self._shift, self._scale = (torch.tensor(values, device=device).view(3, 1, 1) for values in (SHIFT, SCALE))

    @classmethod
    def load(cls, path: str, device: torch.device) -> "LPIPS":
        """Load the weights from a .safetensors, .pth or .pt file.

        Raises:
            InputError: the file cannot be read, or its weights do not fit.
        """
        return cls(read_weights(Path(path)), device, path)

    def __call__(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Two of (B, C, H, W) in [-1, 1] -> (B,) float32, with the gradient of y."""
        with torch.no_grad():
            wanted = self.network(self._prepared(x))
        seen = self.network(self._prepared(y))
        parts = [
            # products in float32 also where convolutions are not
            (head.weight * (a - b).square()).sum(1).mean((1, 2))
            for head, a, b in zip(self.network.heads, wanted, seen, strict=True)
        ]
        return torch.stack(parts).sum(0)

    def _prepared(self, x: torch.Tensor) -> torch.Tensor:
        x = (on_white(x) - self._shift) / self._scale
        b, c, h, w = x.shape
        times = -(-LEAST_SIDE // min(h, w))
        if times > 1:
            # (B, C, H, W) -> (B, C, H, times, W, times) -> (B, C, times · H, times · W)
            x = x[:, :, :, None, :, None].expand(-1, -1, -1, times, -1, times).reshape(b, c, times * h, times * w)
        return x.contiguous(memory_format=torch.channels_last)


def _once(state: Mapping[str, torch.Tensor], source: str) -> dict[str, torch.Tensor]:
    """Drop the constants and the second name of each head, which the published state dict also has.

    Raises:
        InputError: one has another value.
    """
    again = {f"lins.{i}.model.1.weight": state.get(f"lin{i}.model.1.weight") for i in range(len(SLICES))}
    again |= {
        f"scaling_layer.{name}": torch.tensor(values).view(1, 3, 1, 1)
        for name, values in (("shift", SHIFT), ("scale", SCALE))
    }
    found = dict(state)
    for name, known in again.items():
        if name not in state or known is None:
            continue
        given = found.pop(name)
        if given.shape != known.shape or not torch.allclose(given.float(), known.float(), rtol=1e-2):
            raise InputError("incompatible", f"{source} has an unexpected value of {name}; use {PUBLISHED}")
    return found
