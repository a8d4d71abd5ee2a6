"""Exact likelihood: the density of images, along the probability flow (Song et al. 2021, sec. 4.3 and app. D.2).

Song et al. 2021 are here the authors of "Score-Based Generative Modeling through Stochastic Differential Equations".
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from ddpm.core import Cond, Denoiser, Level, Schedule, scale
from ddpm.core.level import stacked
from ddpm.core.schedule import level_of
from ddpm.core.stream import Stream
from ddpm.metrics.dormand_prince import solve
from ddpm.system.errors import InputError

GREYS = 127.5
"""Steps of the 8-bit lattice in one unit of x0: an image is ``v / 127.5 - 1``, v in 0 … 255."""


class LogDensity(NamedTuple):
    """``log p`` in nats, (B,) float64, and how often the denoiser was asked about the batch."""

    log_p: torch.Tensor
    evaluations: int


class Bits(NamedTuple):
    """Bits per dimension, (B,) float64, and how often the denoiser was asked about the batch."""

    bits: torch.Tensor
    evaluations: int


@dataclass(frozen=True, slots=True)
class ProbabilityFlow:
    """The deterministic flow whose images have, at each level, the density that noise gives them.

    With ``theta = atan2(sigma, alpha)`` and ``z = x / √(alpha² + sigma²) = cos(theta) · x0 + sin(theta) · eps``,

        dz / dtheta = (cos(theta) · z - E[x0 | x]) / sin(theta)

    is the ODE of Song et al. 2021, eq. 13, for every process: regular from the start to level T, be alpha 0 there.
    It is solved by :func:`ddpm.metrics.dormand_prince.solve`, each image in its own steps: the denoiser is asked
    about all of them at once, each at its own level, and an image has the same density in any batch.

    Attributes:
        rtol, atol: the error allowed in a step, a root mean square over an image's elements and its log-density per
            dimension (Song et al. 2021's, if not given).
        start: the timestep where the images are taken to be: 1, the cleanest level of a discrete schedule, or below it
            where a process in continuous time has levels.
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
    ) -> LogDensity:
        """The log-density at x0 of what the flow makes of ``N(0, sigma_T²)``, where sampling starts.

        x0 is read as ``x / alpha`` at the start, so the density is the one there, of x0 + s · eps with s = sigma /
        alpha. Under a perfect denoiser of data with density p, with no signal left at level T, log p loses at most
        ``D s² L / 2`` by this if no second derivative of it is below -L (Jensen's inequality), and what is given is
        at most ``-D log(√(2π) s)``.

        Args:
            x0: (B, C, *space); its type and device are the denoiser's.
            probes: (K, B, C, *space) like x0, of covariance I. The divergence is estimated by ``e · J e``, averaged
                over K (Hutchinson 1990): signs ±1 have the least variance, and none where the Jacobian is diagonal.
            progress: called after each step with the evaluations so far.

        Raises:
            ArithmeticError: the denoiser's answers are not finite, or no step is small enough for them.
        """
        n, d = len(x0), x0[0].numel()
        first, last = (_angle(self.schedule.level(timestep)) for timestep in (self.start, self.schedule.T))

        def slope(angles: list[float], state: torch.Tensor) -> torch.Tensor:
            # of a row d numbers are z, and one the log-density per dimension
            velocity, divergence = self._velocity(state[:, :d].reshape(x0.shape), angles, probes, cond)
            change = torch.cat([velocity.flatten(1), divergence[:, None] / d], dim=1)
            if not change.isfinite().all():
                where = ", ".join(f"{angle:.4g}" for angle in sorted(set(angles)))
                raise ArithmeticError(f"the denoiser's answer or its derivative is not finite at an angle of {where}")
            return change

        z = math.cos(first) * x0.cpu().double().flatten(1)
        start = torch.cat([z, torch.zeros(n, 1, dtype=torch.float64)], dim=1)
        end, evaluations = solve(slope, first, last, start, self.rtol, self.atol, progress)
        std = math.sin(last)
        log_end = -0.5 * _sums((end[:, :d] / std).square()) - d * math.log(math.sqrt(2 * math.pi) * std)
        return LogDensity(log_end + d * end[:, d] + d * math.log(math.cos(first)), evaluations)

    def _velocity(
        self, z: torch.Tensor, angles: list[float], probes: torch.Tensor, cond: Cond | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """``dz / dtheta`` like z, and the estimate of its divergence (B,): float64 on the CPU, as z."""
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
) -> Bits:
    """``-log2 p / D`` of 8-bit images, for p the density per grey value, after uniform dequantisation.

    Each value is spread evenly over its lattice cell (Theis et al. 2016, sec. 3.1): on average over images and draws,
    no density has fewer bits than the entropy of the 8-bit images. What the flow's start blurs cannot be told apart: no
    image has fewer than ``log2(√(2π) · 127.5 · sigma / alpha)`` under a perfect denoiser, 1.68 from level 1 of the
    linear schedule and -1.64 from u = 1e-5 of VP.

    Args:
        images: (B, C, *space), ``v / 127.5 - 1`` for whole v in 0 … 255.
        seed, indices: dequantisation and probes of the image with index i, (B,) of them, are a function of (seed, i).
        probes: the signs ±1 by which the divergence is estimated; more of them for less variance, at one backward
            pass each.

    Raises:
        InputError: the images are not on the lattice.
    """
    values = (images + 1) * GREYS
    if (values - values.round().clamp(0, 255)).abs().max() > 0.01:
        raise InputError(
            "conflict", "bits are of 8-bit images: v / 127.5 - 1 for whole v in 0 … 255; these have other values"
        )
    drawn = [_draw(seed, i, images[0].shape, probes) for i in indices]
    within = torch.stack([cell for cell, _ in drawn]).to(images)
    signs = torch.stack([e for _, e in drawn], dim=1).to(images)
    log_p, evaluations = flow.log_density(images + within / GREYS, signs, cond, progress)
    return Bits(-log_p / (images[0].numel() * math.log(2)) + math.log2(GREYS), evaluations)


def _draw(seed: int, index: int, shape: torch.Size, probes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """An image's place within its lattice cell, in [-0.5, 0.5), and its probes (K, C, *space) of signs."""
    stream = Stream(seed, "likelihood", index)
    within = stream.uniform(*shape) - 0.5
    return within, stream.integers(2, probes, *shape) * 2 - 1


def _sums(x: torch.Tensor) -> torch.Tensor:
    """Over each image of a batch, (B,), one by one: the order of a sum over many may depend on how many there are."""
    return torch.stack([one.sum() for one in x])


def _angle(level: Level) -> float:
    return math.atan2(level.sigma, level.alpha)
