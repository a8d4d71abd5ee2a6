"""Solve an ordinary differential equation for each row of a batch, with individual step sizes.

Dormand & Prince 1980 refers to "A family of embedded Runge-Kutta formulae", Hairer et al. 1993 to "Solving Ordinary
Differential Equations I", second edition.
"""

import math
from collections.abc import Callable, Sequence

import torch

Slope = Callable[[list[float], torch.Tensor], torch.Tensor]
"""(t of each row, y (B, N)) -> ``dy / dt``, (B, N) float64: row i of it a function of row i alone."""

NODES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
"""Dormand & Prince 1980, table 2. The last row is the fifth-order solution, whose slope starts the next step."""
ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
"""The difference between the fifth-order and the fourth-order weights."""


def solve(
    slope: Slope,
    start: float,
    end: float,
    y: torch.Tensor,
    rtol: float,
    atol: float,
    progress: Callable[[int], None] | None = None,
) -> tuple[torch.Tensor, int]:
    """Solve ``dy / dt = slope`` from start to a later end, by the pair of Dormand & Prince 1980, of order 5 (4).

    A row's step is accepted if the root mean square of its N ``error / (atol + rtol · max(|y|, |y_new|))`` is below 1,
    and otherwise retried with a shorter step (Hairer et al. 1993, eq. II.4.10 to 4.13). All rows are evaluated
    together, each at its own t; finished rows stay put. So a row's solution depends on that row only, bit for
    bit if its slope does.

    Args:
        y: (B, N) float64.
        progress: called with the number of evaluations so far after each round of steps.

    Returns:
        y at the end, and the number of slope evaluations.

    Raises:
        ArithmeticError: a row needs steps below float64's resolution.
    """
    if start == end:
        return y, 0
    t = [start] * len(y)
    k = slope(t, y)
    lengths, evaluations = _first_lengths(slope, start, end, y, k, rtol, atol), 2
    rejected = [False] * len(y)
    while moving := [i for i, at in enumerate(t) if at < end]:
        for i in moving:
            if not lengths[i] >= 10 * math.ulp(t[i]):  # also if it is NaN
                raise ArithmeticError(f"row {i} needs steps below float64's resolution at t = {t[i]}")
        to = [min(at + length, end) for at, length in zip(t, lengths, strict=True)]
        h = [later - at for at, later in zip(t, to, strict=True)]
        slopes, new = [k], y
        for node, weights in zip(NODES, STAGES, strict=True):
            new = y + _column(h) * _sum(weights, slopes)
            at = to if node == 1 else [a + node * b for a, b in zip(t, h, strict=True)]
            slopes.append(slope(at, new))
        evaluations += len(NODES)
        errors = _norms(_column(h) * _sum(ERROR, slopes), atol + rtol * torch.maximum(y.abs(), new.abs()))
        taken = [False] * len(y)
        for i in moving:
            taken[i] = errors[i] < 1
            longest = 10.0 if taken[i] and not rejected[i] else 1.0
            lengths[i] = h[i] * min(longest, max(0.2, 0.9 * max(errors[i], 1e-10) ** (-1 / 5)))
            t[i], rejected[i] = to[i] if taken[i] else t[i], not taken[i]
        mask = torch.tensor(taken)[:, None]
        y, k = torch.where(mask, new, y), torch.where(mask, slopes[-1], k)
        if progress is not None:
            progress(evaluations)
    return y, evaluations


def _first_lengths(
    slope: Slope, start: float, end: float, y: torch.Tensor, k: torch.Tensor, rtol: float, atol: float
) -> list[float]:
    """Guess each row's first step from the size of y and its first two derivatives (Hairer et al., p. 169)."""
    scale, whole = atol + rtol * y.abs(), end - start
    sizes, speeds = _norms(y, scale), _norms(k, scale)
    tried = [1e-6 if d0 < 1e-5 or d1 < 1e-5 else d0 / d1 / 100 for d0, d1 in zip(sizes, speeds, strict=True)]
    tried = [min(h, whole) for h in tried]
    probe = slope([start + h for h in tried], y + _column(tried) * k)
    bends = [d / h for d, h in zip(_norms(probe - k, scale), tried, strict=True)]
    fits = [
        max(1e-6, h / 1000) if max(d1, d2) <= 1e-15 else (0.01 / max(d1, d2)) ** (1 / 5)
        for h, d1, d2 in zip(tried, speeds, bends, strict=True)
    ]
    return [min(100 * h, fit, whole) for h, fit in zip(tried, fits, strict=True)]


def _column(numbers: Sequence[float]) -> torch.Tensor:
    """(B, 1) float64."""
    return torch.tensor(numbers, dtype=torch.float64)[:, None]


def _sum(weights: Sequence[float], slopes: Sequence[torch.Tensor]) -> torch.Tensor:
    """``Σ w · k``, term by term: fused operations round differently at the end of a buffer."""
    total = torch.zeros_like(slopes[0])
    for weight, k in zip(weights, slopes, strict=True):
        if weight:
            total = total + weight * k
    return total


def _norms(y: torch.Tensor, scale: torch.Tensor) -> list[float]:
    """The root mean square of each row of ``y / scale``, row by row, as summation order may depend on the batch."""
    return torch.stack([row.square().mean() for row in y / scale]).sqrt().tolist()
