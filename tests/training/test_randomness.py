from itertools import pairwise

import pytest
import torch

from ddpm.config.training import TrainSettings
from ddpm.core import Stream
from ddpm.objectives.level_sampling import Drawn
from ddpm.training.randomness import Draws, draw, noise


def some(seed: int = 0, step: int = 0, batch: int = 12, dropout: float = 0.5) -> Draws:
    settings = TrainSettings(images=batch, batch=batch, seed=seed, label_dropout=dropout)
    return draw(settings, step, places)


def eps(seed: int = 0, step: int = 0, batch: int = 12, own: slice = slice(None)) -> torch.Tensor:
    return noise(TrainSettings(images=batch, batch=batch, seed=seed), step, own, (2, 3, 3))


def places(n: int, stream: Stream) -> Drawn:
    """Whole places in 1 … 20 and weights that differ."""
    i = 1 + stream.integers(20, n).double()
    return Drawn(i, 1 / i)


def test_the_same_for_the_same_arguments_whatever_was_drawn_before() -> None:
    torch.manual_seed(1)
    first, noise = some(), eps()
    torch.manual_seed(2)
    some(step=5)
    assert torch.equal(noise, eps())
    assert all(torch.equal(a, b) for a, b in zip(first, some(), strict=True))


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    some()
    eps()
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("change", [{"seed": 1}, {"step": 1}])
def test_seeds_and_steps_share_nothing(change: dict[str, int]) -> None:
    a, b = some(batch=4096), some(batch=4096, **change)
    assert not torch.equal(a.places, b.places)
    assert not torch.equal(a.hidden, b.hidden)
    noises = torch.stack([eps(batch=4096).flatten(), eps(batch=4096, **change).flatten()])
    assert abs(float(torch.corrcoef(noises)[0, 1])) < 5 / noises.shape[1] ** 0.5


@pytest.mark.parametrize("sizes", [(12,), (6, 6), (5, 7), (1,) * 12])
def test_parts_put_together_are_the_whole(sizes: tuple[int, ...]) -> None:
    whole, parts, at = some(), [], 0
    for size in sizes:
        parts.append(whole.part(slice(at, at + size)))
        at += size
    for field in Draws._fields:
        assert torch.equal(torch.cat([getattr(part, field) for part in parts]), getattr(whole, field))
    ends = torch.tensor((0, *sizes)).cumsum(0).tolist()
    assert torch.equal(torch.cat([eps(own=slice(a, b)) for a, b in pairwise(ends)]), eps())


def test_the_shapes_and_ranges() -> None:
    draws, noise = some(batch=8000, dropout=0.25), eps(batch=8000)
    assert noise.shape == (8000, 2, 3, 3)
    assert sorted(draws.places.unique().tolist()) == list(range(1, 21))
    # five standard deviations of each estimate
    assert abs(float(draws.hidden.double().mean()) - 0.25) < 5 * (0.25 * 0.75 / 8000) ** 0.5
    assert abs(float(noise.mean())) < 5 / noise.numel() ** 0.5
    assert abs(float(noise.var()) - 1) < 5 * (2 / noise.numel()) ** 0.5
    assert abs(float(draws.places.mean()) - 10.5) < 5 * (399 / 12 / 8000) ** 0.5


@pytest.mark.parametrize(("dropout", "hidden"), [(0.0, 0), (1.0, 12)])
def test_none_and_all_labels_hidden(dropout: float, hidden: int) -> None:
    assert int(some(dropout=dropout).hidden.sum()) == hidden
