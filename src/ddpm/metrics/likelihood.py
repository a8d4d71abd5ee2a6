"""Exact likelihood: the density of images, along the probability flow (Song et al. 2021, sec. 4.3 and app. D.2).

Song et al. 2021 are here the authors of "Score-Based Generative Modeling through Stochastic Differential Equations".
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ddpm.core import Cond, Denoiser, Level, Schedule
from ddpm.core.stream import Stream
from ddpm.system.errors import InputError

GREYS = 127.5
"""Steps of the 8-bit lattice in one unit of x0: an image is ``v / 127.5 - 1``, v in 0 … 255."""

State = npt.NDArray[np.float64]


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

    is the ODE of Song et al. 2021, eq. 13, for every process: regular from level 1 to level T, be alpha 0 there.
    It is solved by an adaptive Runge-Kutta method of order 5 (4) (Dormand & Prince 1980).

    Attributes:
        rtol, atol: the error allowed in a step (Song et al. 2021's, if not given). It is a root mean square over the
            batch, whose images share their steps: an image's result depends on its company, within the tolerance.
    """

    denoise: Denoiser
    schedule: Schedule
    rtol: float = 1e-5
    atol: float = 1e-5

    def log_density(
        self,
        x0: torch.Tensor,
        probes: torch.Tensor,
        cond: Cond | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> LogDensity:
        """The log-density at x0 of what the flow makes of ``N(0, sigma_T²)``, where sampling starts.

        x0 is read as ``x_1 / alpha_1``, so the density is the one at level 1, of x0 + s · eps with s = sigma_1 /
        alpha_1. Under a perfect denoiser of data with density p, with no signal left at level T, log p loses at most
        ``D s² L / 2`` by this if no second derivative of it is below -L (Jensen's inequality), and what is given is
        at most ``-D log(√(2π) s)``.

        Args:
            x0: (B, C, *space); its type and device are the denoiser's.
            probes: (K, B, C, *space) like x0, of covariance I. The divergence is estimated by ``e · J e``, averaged
                over K (Hutchinson 1990): signs ±1 have the least variance, and none where the Jacobian is diagonal.
            progress: called after each step with the evaluations so far.

        Raises:
            InputError: scipy is missing.
            ArithmeticError: the denoiser's answers are not finite, or no step is small enough for them.
        """
        try:
            from scipy.integrate import RK45
        except ImportError as error:
            raise InputError('scipy solves this ODE and is not installed: pip install "ddpm[likelihood]"') from error
        n, d = len(x0), x0[0].numel()
        first, last = (_angle(self.schedule.level(place)) for place in (1, self.schedule.T))

        def slope(theta: float, state: State) -> State:
            # n · d numbers are z, and n the log-densities per dimension
            z = torch.from_numpy(state[: n * d]).reshape(x0.shape)
            velocity, divergence = self._velocity(z, theta, probes, cond)
            change = torch.cat([velocity.flatten(), divergence / d]).numpy()
            if not np.isfinite(change).all():
                raise ArithmeticError(f"the denoiser's answer or its derivative is not finite at an angle of {theta}")
            return change

        start = torch.cat([math.cos(first) * x0.cpu().double().flatten(), torch.zeros(n, dtype=torch.float64)])
        solver = RK45(slope, first, start.numpy(), last, rtol=self.rtol, atol=self.atol)
        while solver.status == "running":
            solver.step()
            if progress is not None:
                progress(solver.nfev)
        if solver.status == "failed":
            raise ArithmeticError(f"the flow needs steps below float64's spacing at an angle of {solver.t}")
        end = torch.from_numpy(solver.y)
        z, gained = end[: n * d].reshape(n, d), d * end[n * d :]
        std = math.sin(last)
        log_end = -0.5 * (z / std).square().sum(1) - d * math.log(math.sqrt(2 * math.pi) * std)
        return LogDensity(log_end + gained + d * math.log(math.cos(first)), solver.nfev)

    def _velocity(
        self, z: torch.Tensor, theta: float, probes: torch.Tensor, cond: Cond | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """``dz / dtheta`` like z, and the estimate of its divergence (B,): float64 on the CPU, as z."""
        cos, sin = math.cos(theta), math.sin(theta)
        # abs: the last angle may be π / 2, and the solver past it by a rounding
        ratio = torch.tensor([abs(math.tan(theta))], dtype=torch.float64)
        level = self.schedule.level(float(self.schedule.place(ratio)))
        norm = math.hypot(level.alpha, level.sigma)
        with torch.enable_grad():
            x = (norm * z).to(probes).requires_grad_()
            x0 = self.denoise(x, level, cond).x0
            traces = [torch.autograd.grad(x0, x, e, retain_graph=True)[0] * e for e in probes]
        trace = norm * torch.stack(traces).cpu().double().mean(0).flatten(1).sum(1)
        velocity = (cos * z - x0.detach().cpu().double()) / sin
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
    no density has fewer bits than the entropy of the 8-bit images. What level 1 blurs cannot be told apart: no image
    has fewer than ``log2(√(2π) · 127.5 · sigma_1 / alpha_1)`` under a perfect denoiser, 1.68 with the linear schedule.

    Args:
        images: (B, C, *space), ``v / 127.5 - 1`` for whole v in 0 … 255.
        seed, indices: dequantisation and probes of the image with index i, (B,) of them, are a function of (seed, i).
        probes: the signs ±1 by which the divergence is estimated; more of them for less variance, at one backward
            pass each.

    Raises:
        InputError: the images are not on the lattice, or scipy is missing.
    """
    values = (images + 1) * GREYS
    if (values - values.round().clamp(0, 255)).abs().max() > 0.01:
        raise InputError("bits are of 8-bit images: v / 127.5 - 1 for whole v in 0 … 255; these have other values")
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


def _angle(level: Level) -> float:
    return math.atan2(level.sigma, level.alpha)
