"""Operators as matrices."""

import torch

from ddpm.constraints import AveragePool, Blur, Composed, Grey, Mask, Operator

SHAPE = (3, 4, 6)
KNOWN = torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(5)) < 0.5
OPERATORS: dict[str, Operator] = {
    "mask": Mask(KNOWN),
    "mask of all channels": Mask(KNOWN[:, :1]),
    "pool": AveragePool(2),
    "grey": Grey(),
    "mean": Grey((1 / 3, 1 / 3, 1 / 3)),
    "blur": Blur(1.3),
    "mask of a small image": Composed(Mask(KNOWN[:, :, ::2, ::2]), AveragePool(2)),
    "blur of a small grey image": Composed(Composed(Blur(0.8), AveragePool(2)), Grey()),
}
"""Of images of this shape."""


def matrices(operator: Operator, shape: tuple[int, ...], ridge: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """A (m, n) and its pseudo-inverse (n, m), of images flattened, float64."""
    images = torch.eye(torch.Size(shape).numel(), dtype=torch.float64).reshape(-1, *shape)
    seen = operator.forward(images)
    answers = torch.eye(seen[0].numel(), dtype=torch.float64).reshape(-1, *seen.shape[1:])
    return seen.flatten(1).mT, operator.pinv(answers, ridge).flatten(1).mT
