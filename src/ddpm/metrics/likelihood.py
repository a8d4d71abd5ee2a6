"""Exact likelihood: the density of images, along the probability flow (Song et al. 2021, sec. 4.3 and app. D.2).

Song et al. 2021 refers to "Score-Based Generative Modeling through Stochastic Differential Equations".
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from ddpm.core import Cond, Denoiser, Schedule, scale
from ddpm.core.level import stacked
from ddpm.core.schedule import level_of
from ddpm.core.stream import Stream
from ddpm.metrics.dormand_prince import solve
from ddpm.system.errors import InputError

GREYS = 127.5
"""Steps of the 8-bit lattice in one unit of x0: an image is ``v / 127.5 - 1``, v in 0 … 255."""


@dataclass(frozen=True, slots=True)
class ProbabilityFlow:
    """The deterministic flow whose images have the same density at each level as noised images.

    With ``theta = atan2(sigma, alpha)`` and ``z = x / √(alpha² + sigma²) = cos(theta) · x0 + sin(theta) · eps``,

        dz / dtheta = (cos(theta) · z - E[x0 | x]) / sin(theta)

    is the ODE of Song et al. 2021, eq. 13, for every process: regular from the start to level T, even if alpha is 0
    there. It is solved by :func:`ddpm.metrics.dormand_prince.solve` with each image's own steps: the denoiser is called
    on all images together, each at its own level, and an image has the same density in any batch.

    Attributes:
        rtol, atol: the tolerated error of a step, a root mean square over an image's elements and its log-density per
            dimension (defaults of Song et al. 2021).
        start: the timestep of the images: 1, the cleanest level of a discrete schedule, or below it for a process in
            continuous time.
    """

    denoise: Denoiser
    schedule: Schedule
    rtol: float = 1e-5
    atol: float = 1e-5
    start: float = 1.0

    def log_density(
        self,
        x0: torch.Tensor,
        probes: torch.Tensor,
        cond: Cond | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> tuple[torch.Tensor, int]:
        """Compute the log-density at x0 of the flow's image of ``N(0, sigma_T²)``, where sampling starts.

        x0 is taken as ``x / alpha`` at the start, so this is the density there, of x0 + s · eps with s = sigma / alpha.
        Under a perfect denoiser of data with density p, with no signal left at level T, this lowers log p by at most
        ``D s² L / 2`` if no second derivative of it is below -L (Jensen's inequality), and the result is at most
        ``-D log(√(2π) s)``.

        Args:
            x0: (B, C, *space), with the denoiser's dtype and device.
            probes: (K, B, C, *space) like x0, of covariance I. The divergence is estimated by ``e · J e``, averaged
                over K (Hutchinson 1990): signs ±1 have the least variance, and none where the Jacobian is diagonal.
            progress: called with the number of evaluations so far after each step.

        Returns:
            log p in nats, (B,) float64, and the number of denoiser calls for the batch.

        Raises:
            ArithmeticError: the denoiser's outputs are not finite, or need steps below float64's resolution.
        """
        n, d = len(x0), x0[0].numel()
        ends = (self.schedule.level(timestep) for timestep in (self.start, self.schedule.T))
        first, last = (math.atan2(level.sigma, level.alpha) for level in ends)

        def slope(angles: list[float], state: torch.Tensor) -> torch.Tensor:
            # each row holds the d elements of z, then the log-density per dimension
            velocity, divergence = self._velocity(state[:, :d].reshape(x0.shape), angles, probes, cond)
            change = torch.cat([velocity.flatten(1), divergence[:, None] / d], dim=1)
            if not change.isfinite().all():
                where = ", ".join(f"{angle:.4g}" for angle in sorted(set(angles)))
                raise ArithmeticError(f"the denoiser's output or its derivative is not finite at an angle of {where}")
            return change

        z = math.cos(first) * x0.cpu().double().flatten(1)
        start = torch.cat([z, torch.zeros(n, 1, dtype=torch.float64)], dim=1)
        end, evaluations = solve(slope, first, last, start, self.rtol, self.atol, progress)
        std = math.sin(last)
        log_end = -0.5 * _sums((end[:, :d] / std).square()) - d * math.log(math.sqrt(2 * math.pi) * std)
        return log_end + d * end[:, d] + d * math.log(math.cos(first)), evaluations

    def _velocity(
        self, z: torch.Tensor, angles: list[float], probes: torch.Tensor, cond: Cond | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ``dz / dtheta`` like z, and an estimate of its divergence (B,): float64 on the CPU, as z."""
        level = stacked([level_of(self.schedule, math.tan(angle), self.start) for angle in angles])
        cos, sin = (torch.tensor([f(angle) for angle in angles], dtype=torch.float64) for f in (math.cos, math.sin))
        norm = (level.alpha**2 + level.sigma**2) ** 0.5
        with torch.enable_grad():
            x = scale(norm, z).to(probes).requires_grad_()
            x0 = self.denoise(x, level, cond).x0
            traces = [torch.autograd.grad(x0, x, e, retain_graph=True)[0] * e for e in probes]
        # (B, K, C, *space) -> (B,)
        trace = norm * _sums(torch.stack(traces, dim=1).cpu().double()) / len(probes)
        velocity = scale(1 / sin, scale(cos, z) - x0.detach().cpu().double())
        return velocity, (cos * z[0].numel() - trace) / sin


def bits_per_dim(
    flow: ProbabilityFlow,
    images: torch.Tensor,
    seed: int,
    indices: Sequence[int],
    probes: int = 1,
    cond: Cond | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[torch.Tensor, int]:
    """``-log2 p / D`` of 8-bit images, for p the density per grey value, after uniform dequantisation.

    Each value is spread uniformly over its cell (Theis et al. 2016, sec. 3.1): on average over images and draws, no
    density has fewer bits than the entropy of the 8-bit images. Noise at the flow's start sets another limit: no
    image has fewer than ``log2(√(2π) · 127.5 · sigma / alpha)`` bits under a perfect denoiser, 1.68 from level 1 of the
    linear schedule and -1.64 from u = 1e-5 of VP.

    Args:
        images: (B, C, *space), ``v / 127.5 - 1`` for whole v in 0 … 255.
        seed, indices: dequantisation and probes of the image with index i are a function of (seed, i); B indices.
        probes: the number of random sign vectors for the divergence; more reduce the variance, at one backward pass
            each.

    Returns:
        The bits, (B,) float64, and the number of denoiser calls for the batch.

    Raises:
        InputError: the images are not 8-bit.
    """
    values = (images + 1) * GREYS
    if (values - values.round().clamp(0, 255)).abs().max() > 0.01:
        raise InputError(
            "invalid", "the images are not 8-bit; their values must be v / 127.5 - 1 for integers v from 0 to 255"
        )
    drawn = [_draw(seed, i, images[0].shape, probes) for i in indices]
    within = torch.stack([cell for cell, _ in drawn]).to(images)
    signs = torch.stack([e for _, e in drawn], dim=1).to(images)
    log_p, evaluations = flow.log_density(images + within / GREYS, signs, cond, progress)
    return -log_p / (images[0].numel() * math.log(2)) + math.log2(GREYS), evaluations


def _draw(seed: int, index: int, shape: torch.Size, probes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw an image's position within its lattice cell, in [-0.5, 0.5), and its probes (K, C, *space) of signs."""
    stream = Stream(seed, "likelihood", index)
    within = stream.uniform(*shape) - 0.5
    return within, stream.integers(2, probes, *shape) * 2 - 1


def _sums(x: torch.Tensor) -> torch.Tensor:
    """Sum each image of a batch, (B,), one by one, as the order of summation may depend on the batch."""
    return torch.stack([one.sum() for one in x])
