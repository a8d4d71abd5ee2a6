import torch

from ddpm.core.discrete import linear
from ddpm.objectives.level_sampling import uniform


def draw(T: int, n: int, seed: int = 0) -> torch.Tensor:
    return uniform(linear(T), n, torch.Generator().manual_seed(seed))


def test_every_noisy_level_and_no_other():
    levels = draw(10, 2000)
    assert levels.dtype == torch.int64
    assert levels.shape == (2000,)
    assert levels.unique().tolist() == list(range(1, 11))


def test_all_alike():
    """The mean is (T + 1) / 2 within five standard errors; counts fit by chi², of 99 degrees, at about 1 in 10⁶."""
    n, T = 100_000, 100
    levels = draw(T, n)
    assert abs(float(levels.double().mean()) - (T + 1) / 2) < 5 * ((T**2 - 1) / 12 / n) ** 0.5
    counts = torch.bincount(levels, minlength=T + 1)[1:].double()
    assert ((counts - n / T) ** 2 / (n / T)).sum() < 99 + 5 * (2 * 99) ** 0.5


def test_the_generator_alone_decides():
    torch.manual_seed(0)
    first = draw(1000, 50)
    torch.manual_seed(1)
    assert torch.equal(draw(1000, 50), first)
    assert not torch.equal(draw(1000, 50, seed=1), first)


def test_a_single_level():
    assert draw(1, 5).tolist() == [1] * 5
