"""Classifier guidance on mixtures of Gaussians, where Bayes' rule is a formula."""

import math
from dataclasses import dataclass

import pytest
import torch
from tests.laws.exact import Gaussian

from cases import cases
from ddpm import build
from ddpm.core import Cond, Denoised, Level
from ddpm.core.discrete import cosine
from ddpm.guidance import ClassGradient, ClassifierFree, ClassifierGuided, Clipped, GuidanceInterval, Within
from ddpm.sampling import DDIM, Ancestral, fixed_large, fixed_small, sample
from ddpm.sampling.ancestral import learned
from ddpm.sampling.grid import trailing

F64 = torch.float64
SHARES = torch.tensor([0.2, 0.5, 0.3], dtype=F64)
MEANS = torch.tensor([[0.6, -0.4], [-0.7, 0.1], [0.2, 0.8]], dtype=F64)
COVS = torch.tensor(
    [[[0.06, 0.02], [0.02, 0.03]], [[0.02, -0.01], [-0.01, 0.05]], [[0.1, 0.0], [0.0, 0.01]]], dtype=F64
)
CLASSES = [Gaussian(mean, cov) for mean, cov in zip(MEANS, COVS, strict=True)]
LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 0])
SCHEDULES = sorted(build.SCHEDULES)


def classify(x: torch.Tensor, level: Level) -> torch.Tensor:
    """``log w_k + log N(x_t; alpha m_k, alpha² C_k + sigma² I)``, (B, 2, 1) -> (B, 3): Bayes' classifier."""
    out = []
    for share, mean, cov in zip(SHARES, MEANS, COVS, strict=True):
        noisy = level.alpha**2 * cov + level.sigma**2 * torch.eye(2, dtype=F64)
        off = x[..., 0] - level.alpha * mean
        distance = (off @ torch.linalg.inv(noisy) * off).sum(1)
        out.append(share.log() - 0.5 * (distance + torch.logdet(noisy)))
    return torch.stack(out, 1)


@dataclass(frozen=True)
class Unconditional:
    """The perfect denoiser of the whole mixture: each class's own, by the share it has in x."""

    var_mix: float | None = None

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        share = classify(x, level).softmax(1)
        each = torch.stack([denoise(x, level).x0 for denoise in CLASSES], 1)
        x0 = (share[..., None, None] * each).sum(1)
        return Denoised(x0, None if self.var_mix is None else torch.full_like(x, self.var_mix))


def conditional(x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
    """The perfect denoiser of each image's own class."""
    each = torch.stack([denoise(x, level).x0 for denoise in CLASSES], 1)
    return Denoised(each[torch.arange(len(x)), LABELS])


def draw(n: int = 7, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 2, 1, dtype=F64, generator=torch.Generator().manual_seed(seed))


def guided(strength: float = 1.0, labels: torch.Tensor = LABELS, **options) -> ClassifierGuided:
    return ClassifierGuided(Unconditional(**options), ClassGradient(classify, labels, strength))


LEVEL = Level(5.0, 0.8, 0.6)


@cases("n", [6, 8])
def test_each_image_has_its_label(n):
    with pytest.raises(ValueError, match="batch_size"):
        guided()(draw(n), LEVEL)


def test_bayes_rule():
    """At scale 1 the guided unconditional denoiser is the conditional one, on all levels of every process."""
    for name in SCHEDULES:
        seen = 0
        for level in trailing(build.SCHEDULES[name](1000), 40)[:-1]:
            if level.alpha > 0:
                # what a sampler meets there: signal and noise
                x = level.alpha * MEANS[LABELS][..., None] + level.sigma * draw()
                torch.testing.assert_close(guided()(x, level).x0, conditional(x, level).x0, rtol=0, atol=1e-6)
                seen += 1
        assert seen >= 39


@cases("name", [name for name in SCHEDULES if build.SCHEDULES[name](1000).level(1000).alpha > 0])
def test_so_samples_are_the_same(name):
    grid = trailing(build.SCHEDULES[name](1000), 20)
    ours, theirs = (sample(denoise, DDIM(), grid, draw) for denoise in (guided(), conditional))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    unguided = sample(Unconditional(), DDIM(), grid, draw)
    assert (unguided - theirs).abs().max() > 0.3


def test_the_strength_multiplies_the_way_in_eps():
    """``eps' = eps - sigma · s · ∇ log p``, the gradient by differences."""
    for strength in [0.5, 4.0]:
        x, step = draw(), 1e-6
        eps, ours = ((x - 0.8 * denoise(x, LEVEL).x0) / 0.6 for denoise in (Unconditional(), guided(strength)))
        slope = torch.empty_like(x)
        for k in range(2):
            move = step * torch.eye(2, dtype=F64)[k][:, None]
            up, down = (
                classify(there, LEVEL).log_softmax(1)[torch.arange(7), LABELS] for there in (x + move, x - move)
            )
            slope[:, k, 0] = (up - down) / (2 * step)
        torch.testing.assert_close(ours, eps - 0.6 * strength * slope, rtol=0, atol=1e-7)


def test_without_signal_or_noise_the_denoiser_is_left_alone():
    for level in (Level(9.0, 0.0, 1.0), Level(0.0, 1.0, 0.0)):
        x = draw()
        denoise = lambda x, level, cond=None: Denoised(x / 2)  # noqa: E731
        assert torch.equal(ClassifierGuided(denoise, guided().towards)(x, level).x0, x / 2)


def test_an_image_is_guided_by_its_own_label_alone():
    x = draw()
    whole = guided(3.0)(x, LEVEL).x0
    for i in range(7):
        alone = guided(3.0, LABELS[i : i + 1])(x[i : i + 1], LEVEL).x0
        torch.testing.assert_close(alone, whole[i : i + 1], rtol=0, atol=1e-12)


def test_a_gradient_without_one_in_the_loop_and_none_for_the_weights():
    weight = torch.eye(2, 3, dtype=F64).requires_grad_()
    towards = ClassGradient(lambda x, level: x[..., 0] @ weight, LABELS, 2.0)
    with torch.no_grad():
        out = towards(draw(), LEVEL)
    shares = (draw()[..., 0] @ weight).softmax(1)
    wanted = 2 * (torch.eye(3, dtype=F64)[LABELS] - shares) @ weight.mT
    torch.testing.assert_close(out[..., 0], wanted.detach(), rtol=0, atol=1e-12)
    assert not out.requires_grad
    assert weight.grad is None


def test_the_mix_of_variances_is_kept_and_clipping_comes_after():
    out = Clipped(guided(50.0, var_mix=0.3))(draw(), LEVEL)
    assert torch.equal(out.var_mix, torch.full((7, 2, 1), 0.3, dtype=F64))
    torch.testing.assert_close(out.x0, guided(50.0)(draw(), LEVEL).x0.clamp(-1, 1), rtol=0, atol=0)
    assert (out.x0.abs() == 1).any()


def test_together_with_guidance_by_the_denoiser_itself():
    """Both ways add: the classifier moves what classifier-free guidance answers."""

    def either(x, level, cond=None):
        return Denoised(x / 2 + cond.vector[:, :1, None])

    null, cond = Cond(torch.zeros(1, 1, dtype=F64)), Cond(torch.ones(7, 1, dtype=F64))
    free = ClassifierFree(either, null, 3.0)
    x = draw()
    added = guided(2.0)(x, LEVEL).x0 - Unconditional()(x, LEVEL).x0
    out = ClassifierGuided(free, guided(2.0).towards)(x, LEVEL, cond).x0
    torch.testing.assert_close(out, x / 2 + 3 + added, rtol=0, atol=1e-12)


@cases("ratio", [0.1, 0.75, 9.0])
def test_an_interval_holds_for_both_forms(ratio):
    level = Level(0.0, math.cos(math.atan(ratio)), math.sin(math.atan(ratio)))
    x, plain, towards = draw(), Unconditional(), guided(2.0).towards
    within = ratio == 0.75
    score = GuidanceInterval(guided(2.0), plain, 0.2, 5.0)(x, level).x0
    assert torch.equal(score, (guided(2.0) if within else plain)(x, level).x0)
    assert torch.equal(Within(towards, 0.2, 5.0)(x, level), towards(x, level) if within else torch.zeros_like(x))


NOW, NEXT = Level(5.0, 0.6, 0.8), Level(3.0, 0.8, 0.6)


@cases("kind", ["small", "large", "learned"])
def test_the_mean_form_moves_the_mean_by_the_steps_own_variance(kind):
    """Dhariwal & Nichol 2021, alg. 1, in numbers: mu + Sigma g, and noise of variance Sigma about it."""
    between = 0.64 - (0.6 / 0.8) ** 2 * 0.36  # var_t|s
    small = between * 0.36 / 0.64
    variance = {"small": small, "large": between, "learned": between**0.3 * small**0.7}[kind]
    rule = {"small": fixed_small, "large": fixed_large, "learned": learned}[kind]
    denoise, towards, x, z = Unconditional(0.3), guided(2.5).towards, draw(), draw(seed=1)
    mean = 0.8 * between / 0.64 * denoise(x, NOW).x0 + 0.6 / 0.8 * 0.36 / 0.64 * x
    wanted = mean + variance * towards(x, NOW) + math.sqrt(variance) * z
    out, _ = Ancestral(rule, towards).step(denoise, x, NOW, NEXT, None, lambda: z)
    torch.testing.assert_close(out, wanted, rtol=0, atol=1e-12)


def test_the_step_to_the_clean_level_is_the_mean():
    clean, x = Level(0.0, 1.0, 0.0), draw()
    out, _ = Ancestral(fixed_large, guided().towards).step(Unconditional(), x, NOW, clean, None, draw)
    assert torch.equal(out, Unconditional()(x, NOW).x0)


def test_many_steps_of_the_mean_form_have_the_classes_mean_and_covariance():
    """Of 4000 samples a class, in 200 steps. Their mean strays by std / √4000; 4 such, and 0.01 for the steps, are
    allowed."""
    n, generator = 4000, torch.Generator().manual_seed(0)
    labels = torch.arange(3).repeat_interleave(n)
    solver = Ancestral(fixed_small, ClassGradient(classify, labels, 1.0))
    drawn = sample(
        Unconditional(),
        solver,
        trailing(cosine(1000), 200),
        lambda: torch.randn(3 * n, 2, 1, dtype=F64, generator=generator),
    )[..., 0]
    for y in range(3):
        x, std = drawn[labels == y], COVS[y].diagonal().sqrt()
        assert ((x.mean(0) - MEANS[y]).abs() < 4 * std / n**0.5 + 0.01).all(), (y, x.mean(0))
        # an entry of a sample covariance strays by about std_i std_j √(2 / n)
        allowed = 4 * torch.outer(std, std) * (2 / n) ** 0.5 + 0.004
        assert ((x.T.cov() - COVS[y]).abs() < allowed).all(), (y, x.T.cov())
