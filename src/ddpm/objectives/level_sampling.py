"""Which noise levels the images of a training step get."""

import torch

from ddpm.core import Schedule


def uniform(schedule: Schedule, n: int, generator: torch.Generator) -> torch.Tensor:
    """n independent draws from the noisy levels 1 … T, (n,) int64 (Ho et al. 2020, alg. 1)."""
    return torch.randint(1, schedule.T + 1, (n,), generator=generator, device=generator.device)
