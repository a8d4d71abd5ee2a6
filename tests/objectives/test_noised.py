"""What a training step draws: levels, their weights, whose conditions are dropped."""

from dataclasses import dataclass, fields, replace

import pytest
import torch

from cases import cases
from ddpm.core import Schedule, Stream, discrete
from ddpm.core.stream import RowStreams
from ddpm.objectives.level_sampling import Drawn, Importance, LevelSampling, LossHistory
from ddpm.objectives.noised import NoiseLevels
from ddpm.objectives.objective import Draws

SCHEDULE = discrete.cosine(20)


@dataclass(frozen=True)
class Weighed(LevelSampling):
    """Whole timesteps in 1 … T and weights that differ."""

    def draw(self, schedule: Schedule, n: int, stream: Stream, history: LossHistory | None) -> Drawn:
        i = 1 + stream.integers(schedule.T, n).double()
        return Drawn(i, 1 / i)

    def history(self, T: int) -> LossHistory | None:
        return None


def some(seed: int = 0, step: int = 0, batch: int = 12, dropout: float = 0.5) -> Draws:
    noise = NoiseLevels(SCHEDULE, Weighed(), dropout)
    return noise.draws(RowStreams(seed, step, batch, range(batch)), noise.history())


def tensors(draws: Draws) -> dict[str, torch.Tensor]:
    named = {f.name: getattr(draws, f.name) for f in fields(draws)}
    return {name: value for name, value in named.items() if isinstance(value, torch.Tensor)}


def test_the_same_for_the_same_arguments_whatever_was_drawn_before() -> None:
    torch.manual_seed(1)
    first, before = tensors(some()), torch.get_rng_state()
    some(step=5)
    again = tensors(some())
    assert torch.equal(before, torch.get_rng_state())
    assert first.keys() == {"timesteps", "weights", "hidden"}
    assert all(torch.equal(first[name], again[name]) for name in first)


@cases("change", [{"seed": 1}, {"step": 1}])
def test_seeds_and_steps_share_nothing(change: dict[str, int]) -> None:
    a, b = tensors(some(batch=4096)), tensors(some(batch=4096, **change))
    for name, p in (("timesteps", 1 / 20), ("hidden", 1 / 2)):
        share = float((a[name] == b[name]).double().mean())
        assert share == pytest.approx(p, abs=5 * (p * (1 - p) / 4096) ** 0.5)  # equal by chance alone


@cases("sizes", [(12,), (6, 6), (5, 7), (1,) * 12])
def test_parts_put_together_are_the_whole(sizes: tuple[int, ...]) -> None:
    whole, parts, at = some(), [], 0
    for size in sizes:
        parts.append(whole.part(slice(at, at + size)))
        at += size
    for name, value in tensors(whole).items():
        assert torch.equal(torch.cat([tensors(part)[name] for part in parts]), value)
    assert [row for part in parts for row in part.streams.rows] == list(range(12))


def test_rows_of_a_part_draw_what_they_draw_in_the_whole() -> None:
    noise, streams = NoiseLevels(SCHEDULE, Weighed(), 0.5), RowStreams(0, 0, 12, range(12))
    own = tensors(noise.draws(streams.part(slice(3, 9)), None))
    assert all(torch.equal(own[name], value[3:9]) for name, value in tensors(some()).items())


def test_the_shapes_and_ranges() -> None:
    draws = some(batch=8000, dropout=0.25)
    assert sorted(draws.timesteps.unique().tolist()) == list(range(1, 21))
    assert torch.equal(draws.weights, 1 / draws.timesteps)
    # five standard deviations of each estimate
    assert draws.hidden is not None
    assert abs(float(draws.hidden.double().mean()) - 0.25) < 5 * (0.25 * 0.75 / 8000) ** 0.5
    assert abs(float(draws.timesteps.mean()) - 10.5) < 5 * (399 / 12 / 8000) ** 0.5


def test_none_and_all_conditions_dropped() -> None:
    """Without dropout, no mask: the model would also drop each of several kinds by itself."""
    assert some(dropout=0.0).hidden is None
    found = some(dropout=1.0).hidden
    assert found is not None
    assert found.all()


def test_levels_are_those_of_the_places_and_one_cleaner() -> None:
    draws = replace(some(), timesteps=torch.tensor([1.0, 0.5, 20.0], dtype=torch.float64))
    for level, timesteps in zip(NoiseLevels(SCHEDULE, Weighed()).levels(draws), ([1, 1, 20], [0, 0, 19]), strict=True):
        assert torch.as_tensor(level.t).tolist() == [SCHEDULE.level(i).t for i in timesteps]
        assert torch.as_tensor(level.alpha).tolist() == [SCHEDULE.level(i).alpha for i in timesteps]


def test_importance_draws_by_the_losses_that_it_is_given() -> None:
    noise, streams = NoiseLevels(SCHEDULE, Importance(per_level=1)), RowStreams(0, 0, 4096, range(4096))
    history = noise.history()
    assert history is not None
    timesteps = torch.arange(1, 21, dtype=torch.float64)
    history.add(timesteps, torch.where(timesteps == 7, 1e3, 1e-3))
    assert history.warm
    draws = noise.draws(streams, history)
    assert (draws.timesteps.ceil() == 7).double().mean() > 0.9
    assert not torch.equal(draws.timesteps, noise.draws(streams, noise.history()).timesteps)


@cases("T", [1, 3, 8, 20])
def test_held_out_levels_are_spread_and_fixed(T: int) -> None:
    noise = NoiseLevels(discrete.cosine(T), Weighed(), 0.9)
    found = dict(noise.held_out(0, 5, 8))
    assert len(found) == min(T, 8)
    assert set(found) <= set(range(1, T + 1))
    for timestep, draws in found.items():
        assert draws.timesteps.tolist() == [timestep] * 5
        assert draws.weights.tolist() == [1.0] * 5
        assert draws.hidden is None  # nothing is dropped
        assert not draws.augmented
    again = dict(noise.held_out(0, 5, 8))
    other = dict(noise.held_out(1, 5, 8))
    noises = [[d.streams.normal("noise", (4,)) for d in of.values()] for of in (found, again, other)]
    assert torch.equal(torch.stack(noises[0]), torch.stack(noises[1]))
    # of other seeds and other levels: nothing in common
    assert len(torch.cat([torch.stack(noises[0]), torch.stack(noises[2])]).unique()) == 2 * len(found) * 5 * 4


def test_held_out_noise_is_not_that_of_training() -> None:
    [(_, draws)] = NoiseLevels(SCHEDULE, Weighed()).held_out(0, 5, 1)
    trained = RowStreams(0, 0, 5, range(5))
    assert not (draws.streams.normal("noise", (9,)) == trained.normal("noise", (9,))).any()
