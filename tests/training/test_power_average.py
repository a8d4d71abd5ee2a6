"""Averages of any length: from what two tracked averages saved, by Karras et al. 2024."""

import numpy as np
import pytest
import torch
from safetensors.torch import load as tensors_from_bytes
from scipy.integrate import quad
from torch import nn

from ddpm.core.model import Model
from ddpm.training import power_average
from ddpm.training.power_average import PowerAverages, combination, combine, exponent, length, products, saved_after

STEPS = 320


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(500))


def path_of_weights(steps: int) -> torch.Tensor:
    """Weights that move as trained ones do: a drift that slows down, and noise around it."""
    g = torch.Generator().manual_seed(0)
    t = torch.linspace(0, 1, steps)[:, None]
    ends, noise = torch.randn(3, 500, generator=g), torch.randn(steps, 500, generator=g)
    return ends[0] + ends[1] * (1 - torch.exp(-4 * t)) + ends[2] * t.sqrt() + 0.05 * noise


def test_length_and_exponent_are_inverse() -> None:
    for value in (0.03, 0.05, 0.1, 0.2, 0.28):
        assert length(exponent(value)) == pytest.approx(value, rel=1e-9)
    # the profile t^gamma has this spread: a plain mean has that of a uniform distribution
    assert length(0) == pytest.approx(12**-0.5)
    assert exponent(0.1) == pytest.approx(6.94, abs=0.005)  # Karras et al. 2024, sec. 3.2
    assert exponent(0.05) == pytest.approx(16.97, abs=0.005)


def test_products_are_integrals_of_the_profiles() -> None:
    def profile(tau: float, t: float, g: float) -> float:
        return float((g + 1) * tau**g / t ** (g + 1)) if tau <= t else 0.0

    for (s, g), (t, h) in [((1.0, 7.0), (1.0, 17.0)), ((0.4, 7.0), (0.9, 17.0)), ((2.0, 0.5), (1.5, 3.0))]:
        expected, _ = quad(lambda tau, s=s, g=g, t=t, h=h: profile(tau, s, g) * profile(tau, t, h), 0, min(s, t))
        found = products((np.array([s]), np.array([g])), (np.array([t]), np.array([h])))
        assert float(found[0, 0]) == pytest.approx(expected, rel=1e-8)


def test_the_tracked_average_is_the_integral_of_the_power_function() -> None:
    path, model = path_of_weights(50), Model(Net())
    averages = PowerAverages(model, 50)
    for n, weights in enumerate(path):
        with torch.no_grad():
            model.net.w.copy_(weights)  # type: ignore[operator, union-attr]
        averages.update(n + 1)
    for tracked in power_average.TRACKED:
        g = exponent(tracked)
        edges = (torch.arange(51, dtype=torch.float64) / 50) ** (g + 1)
        expected = (edges.diff()[:, None] * path).sum(0).float()
        torch.testing.assert_close(averages.tensors()[f"{tracked}/net.w"], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("wanted", [0.04, 0.05, 0.075, 0.1, 0.15, 0.2])
def test_any_length_equals_the_average_tracked_at_that_length(tmp_path, monkeypatch, wanted) -> None:  # type: ignore[no-untyped-def]
    """Within 0.1 % of the weights, from sixteen saved pairs in half precision."""

    def run(lengths: tuple[float, ...], steps: int) -> tuple[PowerAverages, dict[int, bytes]]:
        monkeypatch.setattr(power_average, "TRACKED", lengths)
        model = Model(Net())
        averages, saved = PowerAverages(model, steps), {}
        moments = saved_after(steps, averages.every, 16)
        for n, weights in enumerate(path_of_weights(steps)):
            with torch.no_grad():
                model.net.w.copy_(weights)  # type: ignore[operator, union-attr]
            averages.update(n + 1)
            if n + 1 in moments:
                saved[n + 1] = averages.to_bytes()
        assert max(saved) == steps
        return averages, saved

    direct = run((wanted,), STEPS)[0].tensors()[f"{wanted}/net.w"]
    _, saved = run((0.05, 0.1), STEPS)
    files = {}
    for done, data in saved.items():
        files[done] = tmp_path / f"{done}.safetensors"
        files[done].write_bytes(data)
    found = combine(files, wanted)["net.w"]
    assert float((found - direct).norm() / direct.norm()) < 1e-3
    # the check can tell lengths apart: that of a tenth more differs by more
    other = combine(files, 1.1 * wanted)["net.w"]
    assert float((other - direct).norm()) > 3 * float((found - direct).norm())


def test_a_saved_length_is_itself() -> None:
    times = np.repeat(np.arange(1.0, 9.0), 2)
    exponents = np.tile([exponent(v) for v in power_average.TRACKED], 8)
    expected = np.zeros(16)
    expected[-1] = 1
    np.testing.assert_allclose(combination((times, exponents), 0.1), expected, atol=1e-7)


def test_saves_are_spread_over_the_run_and_end_with_it() -> None:
    assert saved_after(160, 1, 16) == set(range(10, 161, 10))
    assert saved_after(3, 1, 16) == {1, 2, 3}
    assert max(saved_after(123_456, 123, 16)) > 123_456 - 123
    assert all(step % 123 == 0 for step in saved_after(123_456, 123, 16))


def test_half_precision_keeps_the_names() -> None:
    averages = PowerAverages(Model(Net()), 10)
    assert set(tensors_from_bytes(averages.to_bytes())) == {"0.05/net.w", "0.1/net.w"}
