"""Weightings against the formulas of their papers, which give them for the loss of one prediction."""

import math

import pytest
import torch

from cases import cases
from ddpm.core import Level, prediction, scale
from ddpm.core.discrete import cosine, linear, zero_terminal_snr
from ddpm.objectives.weighting import P2, EDMWeighting, MinSNR, constant, on_output, simple, snr, truncated_snr

SNR = torch.logspace(-12, 12, 97, dtype=torch.float64)
PREDICTIONS = {name: getattr(prediction, name) for name in ("eps", "x0", "v", "flow")}
WEIGHTINGS = {
    "constant": constant,
    "snr": snr,
    "truncated": truncated_snr,
    "simple": simple,
    "min-snr": MinSNR(),
    "p2": P2(),
    "edm": EDMWeighting(),
}


def preserving(ratio: torch.Tensor) -> Level:
    """The level of variance 1 with such an SNR."""
    return Level(ratio, (ratio / (1 + ratio)).sqrt(), (1 / (1 + ratio)).sqrt())


def of(snr: float) -> Level:
    return preserving(torch.tensor([snr], dtype=torch.float64))


@cases(
    ("weighting", "predict", "expected"),
    [
        (constant, "x0", lambda s: 1 + 0 * s),
        (constant, "eps", lambda s: 1 / s),
        (snr, "x0", lambda s: s),
        (snr, "eps", lambda s: 1 + 0 * s),
        (snr, "v", lambda s: s / (s + 1)),
        # Salimans & Ho 2022, sec. 4
        (truncated_snr, "x0", lambda s: s.clamp(min=1)),
        (truncated_snr, "eps", lambda s: (1 / s).clamp(min=1)),
        # Hang et al. 2023, sec. 3.4
        (MinSNR(5), "x0", lambda s: s.clamp(max=5)),
        (MinSNR(5), "eps", lambda s: s.clamp(max=5) / s),
        (MinSNR(5), "v", lambda s: s.clamp(max=5) / (s + 1)),
        (MinSNR(1), "v", lambda s: s.clamp(max=1) / (s + 1)),
        # Choi et al. 2022, over the loss of eps
        (P2(1, 1), "eps", lambda s: 1 / (1 + s)),
        (P2(2, 0.5), "eps", lambda s: 1 / (2 + s) ** 0.5),
        (P2(1, 1), "v", lambda s: s / (1 + s) ** 2),
        (EDMWeighting(0.5), "x0", lambda s: s + 4),
        (simple, "v", lambda s: 1 + 0 * s),
        (simple, "flow", lambda s: 1 + 0 * s),
        # docs/math.md: the loss of flow is (sqrt(SNR) + 1)² times that of x0
        (constant, "flow", lambda s: 1 / (s.sqrt() + 1) ** 2),
    ],
)
def test_the_papers_formulas(weighting, predict, expected):
    weights = on_output(weighting, PREDICTIONS[predict], preserving(SNR))
    assert weights.dtype == torch.float64
    torch.testing.assert_close(weights, expected(SNR), rtol=1e-13, atol=0)


@cases("sigma_data", [0.2, 0.5, 1.0, 3.0])
def test_the_network_of_karras_has_weight_one(sigma_data):
    """lambda(sigma) · c_out² = 1 (Karras et al. 2022, table 1), for its own alpha = 1 and any other."""

    def edm(level):
        r = (level.sigma**2 + sigma_data**2 * level.alpha**2).sqrt()
        return level.sigma / (sigma_data * r), -sigma_data * level.alpha / r

    sigma = torch.logspace(-5, 5, 51, dtype=torch.float64)
    exploding = Level(sigma, torch.ones_like(sigma), sigma)
    for level in (exploding, preserving(SNR), cosine().levels(torch.arange(1, 1001))):
        weights = on_output(EDMWeighting(sigma_data), edm, level)
        torch.testing.assert_close(weights, torch.ones_like(weights), rtol=1e-13, atol=0)
    lamb = (sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2
    weights = on_output(EDMWeighting(sigma_data), prediction.x0, exploding)
    torch.testing.assert_close(weights, lamb, rtol=1e-13, atol=0)


@cases("predict", sorted(PREDICTIONS))
def test_simple_is_exactly_one_everywhere(predict):
    for schedule in (linear(), zero_terminal_snr(cosine(50))):
        weights = on_output(simple, PREDICTIONS[predict], schedule.levels(torch.arange(schedule.T + 1)))
        assert torch.equal(weights, torch.ones(schedule.T + 1, dtype=torch.float64))


@cases("weighting", sorted(WEIGHTINGS))
def test_at_both_ends_it_is_the_limit(weighting):
    for end in ["no signal", "no noise"]:
        for predict in sorted(PREDICTIONS):
            ends = {"no signal": (Level(0.0, 0.0, 1.0), 1e-18), "no noise": (Level(0.0, 1.0, 0.0), 1e18)}
            level, near = ends[end]
            limit = float(on_output(WEIGHTINGS[weighting], PREDICTIONS[predict], of(near)))
            at = float(on_output(WEIGHTINGS[weighting], PREDICTIONS[predict], level))
            assert not math.isnan(at)
            if limit > 1e9:
                assert at > 1e30
            else:
                assert at == pytest.approx(limit, rel=1e-8, abs=1e-8)


def test_eps_under_snr_is_exactly_one():
    for schedule in (linear(), zero_terminal_snr(cosine(50))):
        weights = on_output(snr, prediction.eps, schedule.levels(torch.arange(schedule.T + 1)))
        assert torch.equal(weights, torch.ones(schedule.T + 1, dtype=torch.float64))


@cases("weighting", sorted(WEIGHTINGS))
def test_it_turns_the_error_of_the_output_into_that_of_x0(weighting):
    """Any network: w · ||x0_hat - x0||² is on_output · ||F - target||²; w = (w · sigma²) / sigma²."""
    for predict in sorted(PREDICTIONS):
        random = torch.Generator().manual_seed(0)
        x0, eps, output = torch.randn(3, 40, 2, 3, dtype=torch.float64, generator=random)
        level, which = linear().levels(torch.arange(25, 1001, 25)), PREDICTIONS[predict]
        x = scale(level.alpha, x0) + scale(level.sigma, eps)
        believed = prediction.x0_from_output(which, output, x, level)
        w = WEIGHTINGS[weighting](level, which) / level.sigma**2
        of_x0 = w * (believed - x0).square().flatten(1).mean(1)
        of_output = (output - prediction.target(which, x0, eps, level)).square().flatten(1).mean(1)
        torch.testing.assert_close(
            on_output(WEIGHTINGS[weighting], which, level) * of_output, of_x0, rtol=1e-10, atol=0
        )
