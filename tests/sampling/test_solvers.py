"""One step of each solver against its paper's equation, written out in betas and ᾱ."""

import math

import pytest
import torch

from cases import cases
from ddpm.core import Denoised, Level
from ddpm.core.discrete import cosine, linear
from ddpm.sampling import DDIM, Ancestral, fixed_large, fixed_small

SCHEDULE = linear()
PAIRS = [(1000, 999), (1000, 500), (500, 480), (21, 1), (2, 1)]


def normal(seed: int) -> torch.Tensor:
    return torch.randn(2, 1, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def believe(x0):
    """A denoiser with one answer, and the levels it was asked at."""
    asked = []

    def denoise(x, level):
        asked.append(level)
        return Denoised(x0)

    return denoise, asked


def take(solver, now: Level, next: Level):
    x, x0, z = normal(0), normal(1).tanh(), normal(2)
    drawn = []
    denoise, asked = believe(x0)
    state = solver.init([now, next])
    result, state = solver.step(denoise, x, now, next, state, lambda: drawn.append(0) or z)
    assert asked == [now]
    return result, x, x0, z, len(drawn)


def test_ddim():
    """Song et al. 2021, eq. 12 with sigma of eq. 16, where their alpha is ᾱ."""
    for eta in [0.0, 0.3, 1.0]:
        for i, j in PAIRS:
            t, s = SCHEDULE.level(i), SCHEDULE.level(j)
            result, x, x0, z, drawn = take(DDIM(eta), t, s)
            a_t, a_s = float(SCHEDULE.alpha_bar[i]), float(SCHEDULE.alpha_bar[j])
            eps = (x - math.sqrt(a_t) * x0) / math.sqrt(1 - a_t)
            sigma = eta * math.sqrt((1 - a_s) / (1 - a_t)) * math.sqrt(1 - a_t / a_s)
            expected = math.sqrt(a_s) * x0 + math.sqrt(1 - a_s - sigma**2) * eps + sigma * z
            torch.testing.assert_close(result, expected, rtol=0, atol=1e-11)
            assert drawn == (eta > 0)


@cases("variance", [fixed_small, fixed_large])
def test_ancestral(variance):
    """Ho et al. 2020, eq. 7 and alg. 2, with the beta that leads from level j to level i."""
    for i, j in PAIRS:
        t, s = SCHEDULE.level(i), SCHEDULE.level(j)
        result, x, x0, z, drawn = take(Ancestral(variance), t, s)
        a_t, a_s = float(SCHEDULE.alpha_bar[i]), float(SCHEDULE.alpha_bar[j])
        beta = 1 - a_t / a_s
        mean = math.sqrt(a_s) * beta / (1 - a_t) * x0 + math.sqrt(1 - beta) * (1 - a_s) / (1 - a_t) * x
        var = beta if variance is fixed_large else (1 - a_s) / (1 - a_t) * beta
        torch.testing.assert_close(result, mean + math.sqrt(var) * z, rtol=0, atol=1e-11)
        assert drawn == 1


@cases("solver", [DDIM(), DDIM(0.5), DDIM(1), Ancestral(), Ancestral(fixed_large)])
def test_the_step_to_clean_is_x0_without_noise(solver):
    for i in [1, 20, 1000]:
        result, _, x0, _, drawn = take(solver, SCHEDULE.level(i), SCHEDULE.level(0))
        torch.testing.assert_close(result, x0, rtol=0, atol=1e-14)
        assert drawn == 0


def test_ancestral_adds_small_noise_where_no_variance_is_learned():
    now, next = SCHEDULE.level(500), SCHEDULE.level(480)
    assert torch.equal(take(Ancestral(), now, next)[0], take(Ancestral(fixed_small), now, next)[0])


@cases(("i", "j"), PAIRS)
def test_ancestral_of_a_learned_variance(i, j):
    """Nichol & Dhariwal 2021, eq. 15, element by element; a solver of fixed variance does not listen."""
    now, next = SCHEDULE.level(i), SCHEDULE.level(j)
    x, x0, z, mix = normal(0), normal(1).tanh(), normal(2), normal(3).sigmoid()
    a_t, a_s = float(SCHEDULE.alpha_bar[i]), float(SCHEDULE.alpha_bar[j])
    beta = 1 - a_t / a_s
    log_var = mix * math.log(beta) + (1 - mix) * math.log((1 - a_s) / (1 - a_t) * beta)

    def noise(solver):
        def end(z):
            return solver.step(lambda x, level: Denoised(x0, mix), x, now, next, solver.init([now, next]), lambda: z)[0]

        return end(z) - end(torch.zeros_like(z))

    torch.testing.assert_close(noise(Ancestral()), (0.5 * log_var).exp() * z, rtol=0, atol=1e-11)
    torch.testing.assert_close(noise(Ancestral(fixed_large)), math.sqrt(beta) * z, rtol=0, atol=1e-11)
    small = math.sqrt((1 - a_s) / (1 - a_t) * beta)
    torch.testing.assert_close(noise(Ancestral(fixed_small)), small * z, rtol=0, atol=1e-11)


def test_a_learned_variance_adds_nothing_at_the_end():
    x0, mix = normal(1).tanh(), normal(3).sigmoid()
    now, next = SCHEDULE.level(1), SCHEDULE.level(0)
    result, _ = Ancestral().step(lambda x, level: Denoised(x0, mix), normal(0), now, next, None, lambda: 1 / 0)
    torch.testing.assert_close(result, x0, rtol=0, atol=1e-14)


@cases("eta", [-0.1, 1.1, float("nan")])
def test_eta_out_of_range(eta):
    with pytest.raises(ValueError, match="eta must be between 0"):
        DDIM(eta)


def test_eta_1_needs_no_more_noise_than_there_is():
    """Rounding never asks for the root of a negative number, not even from a level of almost no signal."""
    for T in [2, 3, 5, 10, 20, 50]:
        for make in (linear, cosine):
            schedule = make(T)
            for i in range(2, T + 1):
                for j in range(1, i):
                    assert take(DDIM(1.0), schedule.level(i), schedule.level(j))[0].isfinite().all()
