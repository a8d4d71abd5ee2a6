"""UniPC."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from ddpm.core import Level
from ddpm.sampling.exponential import B, bh2, combine, extrapolation, half_log_snr, interpolation
from ddpm.sampling.history import History
from ddpm.sampling.solver import BoundDenoiser, Randn


class Predicted(NamedTuple):
    """The last step, for the next one to correct.

    Attributes:
        history: the points that the last step used.
        x: the x where it started, (B, C, *space); None before the first.
    """

    history: History
    x: torch.Tensor | None


@dataclass(frozen=True, slots=True)
class UniPC:
    """A predictor, and a corrector that uses the network call of the step after it (Zhao et al. 2023).

        x_s = (sigma_s / sigma_t) x_t + alpha_s Σ w_k x0_k

    The predictor's polynomial in lambda goes through the last ``order`` x0; before a step leaves s, x_s is taken once
    more with the polynomial that goes through the x0 at s too. That raises the order by one for no further call: the x0
    at s is that of the predicted x_s.

    Attributes:
        order: the order of the predictor, 1 to 3.
        b: ``bh1`` or ``bh2``: the weights of a predictor from two points, ``B(h) / 2`` times the slope, and of a
            corrector from one, ``B(h) / 2`` times the difference. For more points the weights do not depend on it.
    """

    order: int = 2
    b: B = bh2

    def __post_init__(self) -> None:
        if self.order not in (1, 2, 3):
            raise ValueError(f"order must be 1, 2 or 3, not {self.order}")

    def evaluations(self, grid: Sequence[Level]) -> int:
        return len(grid) - 1

    def init(self, grid: Sequence[Level]) -> Predicted:
        return Predicted(History.before(grid, self.order), None)

    def step(
        self, denoise: BoundDenoiser, x: torch.Tensor, now: Level, next: Level, state: Predicted, randn: Randn
    ) -> tuple[torch.Tensor, Predicted]:
        x0 = denoise(x, now).x0
        history = state.history.add(now, next, x0)
        if next.clean:
            return x0, Predicted(history, None)
        past = state.history.at(now)
        if past.points and state.x is not None:
            x = self._corrected(state.x, x0, past, now)
        h = half_log_snr(next) - half_log_snr(now)
        weights = extrapolation(history.nodes, h, self.b)
        predicted = combine(next.sigma / now.sigma * x, next.alpha, weights, history.values)
        return predicted, Predicted(history, x)

    def _corrected(self, x: torch.Tensor, x0: torch.Tensor, past: History, now: Level) -> torch.Tensor:
        """Repeat the last step from x, with the x0 found at its end ``now``."""
        before = past.points[0].level
        h = half_log_snr(now) - half_log_snr(before)
        if len(past.points) == 1:
            weights = [self.b(h) / 2, bh2(h) - self.b(h) / 2]
        else:
            weights = interpolation([h, *past.nodes], h)
        return combine(now.sigma / before.sigma * x, now.alpha, weights, [x0, *past.values])
