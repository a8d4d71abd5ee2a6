"""The pair of Dormand & Prince: its tableau, its order, and scipy's solution of the same equation."""

import math

import pytest
import torch
from scipy.integrate import solve_ivp

from ddpm.metrics.dormand_prince import ERROR, NODES, STAGES, solve

Y0 = torch.tensor([[1.0, 0.0], [0.5, 0.0], [2.0, 0.0], [3.0, 0.1]], dtype=torch.float64)


def pendulum(t: list[float], y: torch.Tensor) -> torch.Tensor:
    """A driven one, each row at its own time."""
    drive = torch.tensor([0.3 * math.cos(at) for at in t], dtype=torch.float64)
    return torch.stack([y[:, 1], drive - y[:, 0].sin()], dim=1)


@pytest.mark.parametrize("q", range(1, 6))
def test_quadrature_of_fifth_order(q):
    """``Σ b c^(q-1) = 1 / q`` of the solution; of the embedded one up to q = 4."""
    c, b = [0.0, *NODES], [*STAGES[-1], 0.0]
    assert sum(w * x ** (q - 1) for w, x in zip(b, c, strict=True)) == pytest.approx(1 / q, abs=1e-14)
    off = sum(w * x ** (q - 1) for w, x in zip(ERROR, c, strict=True))
    assert (abs(off) < 1e-14) == (q < 5)


def test_stages_lie_at_their_nodes():
    assert [sum(row) for row in STAGES] == pytest.approx(NODES, abs=1e-12)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-5, 1e-8])
@pytest.mark.parametrize("row", range(4))
def test_scipy_takes_the_same_steps(row, tolerance):
    """As many calls, and the same end but for rounding."""
    theirs = solve_ivp(
        lambda t, y: pendulum([t], torch.from_numpy(y)[None])[0].numpy(),
        (0.0, 7.0),
        Y0[row].numpy(),
        rtol=tolerance,
        atol=tolerance,
    )
    y, evaluations = solve(pendulum, 0.0, 7.0, Y0[row : row + 1], tolerance, tolerance)
    assert evaluations == theirs.nfev
    torch.testing.assert_close(y[0], torch.from_numpy(theirs.y[:, -1]), rtol=1e-9, atol=1e-9)


def test_a_row_of_a_batch_is_the_row_alone():
    """Bit for bit, and the batch asks as often as the hardest."""
    together, most = solve(pendulum, 0.0, 7.0, Y0, 1e-6, 1e-6)
    alone, evaluations = zip(*(solve(pendulum, 0.0, 7.0, y[None], 1e-6, 1e-6) for y in Y0), strict=True)
    assert torch.equal(together, torch.cat(alone))
    assert most == max(evaluations)
    assert len(set(evaluations)) > 1


def test_it_never_asks_beyond_the_end():
    asked: list[float] = []

    def slope(t: list[float], y: torch.Tensor) -> torch.Tensor:
        asked.extend(t)
        return pendulum(t, y)

    solve(slope, 0.0, math.pi / 2, Y0, 1e-4, 1e-4)
    assert min(asked) == 0
    assert max(asked) == math.pi / 2


def test_nowhere_to_go():
    y, evaluations = solve(pendulum, 1.0, 1.0, Y0, 1e-4, 1e-4)
    assert torch.equal(y, Y0)
    assert evaluations == 0


def test_a_pole_ends_it():
    """``y' = y²`` from 1 is infinite at t = 1."""
    with pytest.raises(ArithmeticError, match=r"row 1 needs steps below float64's resolution at t = 0\.99999|t = 1\.0"):
        solve(lambda t, y: y**2, 0.0, 2.0, torch.tensor([[0.1], [1.0]], dtype=torch.float64), 1e-6, 1e-6)
