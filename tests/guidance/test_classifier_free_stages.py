"""Guidance in stages: a scale for each step from the weakest condition to the full one."""

import math

import pytest
import torch

from cases import cases
from ddpm.core import Cond, Denoised, Level
from ddpm.guidance import ClassifierFree, ClassifierFreeStages, GuidanceInterval, Projected, Rescaled, extrapolate

LEVEL = Level(torch.tensor([5.0, 6, 7]), torch.tensor([0.8, 0.6, 1.0]), torch.tensor([0.6, 0.8, 0.0]))
X = torch.randn(3, 2, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
NULL, LABEL, FULL = torch.randn(3, 3, 2, 1, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
NULL = NULL[:1]
IMAGE = torch.arange(3.0, dtype=torch.float64).reshape(3, 1, 1, 1).expand(3, 1, 4, 3)
COND = Cond(FULL, IMAGE, between=Cond(LABEL))
RULES = [extrapolate, Rescaled(0.7), Projected(0.0), Projected(0.3, 0.5), Rescaled(1.0, Projected(0.0, 0.5))]


class Answer:
    """A denoiser that answers a mix of x, its condition and the level, and counts rows; the condition is var_mix."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        self.rows.append(len(x))
        assert cond is not None
        assert cond.vector is not None
        noise = torch.as_tensor(level.sigma).reshape(-1, 1, 1, 1)
        shade = 0 if cond.image is None else cond.image
        return Denoised((x + noise * x.flip(2)) * cond.vector + shade, cond.vector.expand_as(x))


def between(cond: Cond) -> Cond:
    assert cond.between is not None
    return cond.between


WEAKER = (Cond(NULL).instead_of, between)


def of(vector: torch.Tensor) -> torch.Tensor:
    """The answer to one condition alone."""
    return Answer()(X, LEVEL, Cond(vector.expand(3, 2, 1, 1), IMAGE)).x0


def test_the_equation() -> None:
    for label, full in [(3.0, 7.5), (0.0, 4.0), (2.0, 1.0), (1.0, 1.0), (5.0, 5.0), (1.5, 0.0)]:
        out = ClassifierFreeStages(Answer(), WEAKER, (label, full))(X, LEVEL, COND)
        expected = of(NULL) + label * (of(LABEL) - of(NULL)) + full * (of(FULL) - of(LABEL))
        torch.testing.assert_close(out.x0, expected, rtol=0, atol=1e-12)
        assert torch.equal(out.var_mix, FULL.expand_as(X))


def test_one_call() -> None:
    answer = Answer()
    ClassifierFreeStages(answer, WEAKER, (2.0, 3.0))(X, LEVEL, COND)
    assert answer.rows == [9]


@cases("rule", RULES)
@cases("scale", [0.0, 1.0, 3.0, 7.5])
def test_equal_scales_are_guidance_in_one_stage(rule, scale) -> None:
    stages = ClassifierFreeStages(Answer(), WEAKER, (scale, scale), rule)(X, LEVEL, COND)
    assert torch.equal(stages.x0, ClassifierFree(Answer(), Cond(NULL), scale, rule)(X, LEVEL, COND).x0)


@cases("rule", RULES)
def test_a_stage_of_scale_1_is_skipped(rule) -> None:
    """The first, and so guidance is away from its end; the last, and so the weakest answers are left out."""
    first = ClassifierFreeStages(Answer(), WEAKER, (1.0, 4.0), rule)(X, LEVEL, COND)
    assert torch.equal(first.x0, rule(of(FULL), of(LABEL), 4.0))
    last = ClassifierFreeStages(Answer(), WEAKER, (4.0, 1.0), rule)(X, LEVEL, COND)
    without = of(FULL) - (of(LABEL) - of(NULL))
    torch.testing.assert_close(last.x0, rule(of(FULL), without, 4.0), rtol=0, atol=1e-12)


def test_an_interval_saves_both_further_answers() -> None:
    answer = Answer()
    denoise = GuidanceInterval(ClassifierFreeStages(answer, WEAKER, (2.0, 3.0)), answer, 0.2, 5.0)
    for ratio in (0.1, 1.0, 10.0):
        denoise(X, Level(0.0, math.cos(math.atan(ratio)), math.sin(math.atan(ratio))), COND)
    assert answer.rows == [3, 9, 3]


def test_nothing_to_guide_towards() -> None:
    with pytest.raises(ValueError, match="needs a condition"):
        ClassifierFreeStages(Answer(), WEAKER, (2.0, 3.0))(X, LEVEL)
