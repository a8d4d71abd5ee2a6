"""What is drawn against the distribution that each sampler claims; statistical bounds fail once in a million seeds.

Distances between distributions are bounded as Dvoretzky, Kiefer, Wolfowitz and Massart do, chi² as Laurent and Massart
do, means by five standard errors.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from cases import cases
from ddpm.core import Schedule, Stream
from ddpm.core.discrete import cosine, linear
from ddpm.objectives.level_sampling import (
    Drawn,
    Importance,
    LevelSampling,
    LogitNormal,
    LogNormal,
    LossHistory,
    Stratified,
    Ticks,
    Uniform,
)

EVERY: dict[str, LevelSampling] = {
    "uniform": Uniform(),
    "stratified": Stratified(),
    "log-normal": LogNormal(),
    "logit-normal": LogitNormal(),
    "importance": Importance(per_level=2),
    "ticks": Ticks(Uniform()),
    "importance of ticks": Ticks(Importance(per_level=2)),
}


def warmed(sampling: LevelSampling, T: int) -> LossHistory | None:
    """A history in which every level has all its losses, of very different sizes."""
    history = sampling.history(T)
    if history is not None:
        for k in range(history.losses.shape[1]):
            levels = torch.arange(1, T + 1).double()
            history.add(levels, (5 / levels) ** 2 + 0.1 * k)
    return history


def draw(
    sampling: LevelSampling, schedule: Schedule, n: int, seed: int = 0, history: LossHistory | None = None
) -> Drawn:
    return sampling.draw(schedule, n, Stream(seed, "levels"), history)


def distance(values: torch.Tensor, cdf) -> float:
    """The largest difference between the values' distribution and a continuous one."""
    values = values.sort().values
    n, expected = len(values), cdf(values)
    above = torch.arange(1, n + 1, dtype=torch.float64) / n - expected
    return float(torch.maximum(above, 1 / n - above).max())


def bound(n: int) -> float:
    return math.sqrt(math.log(2 / 1e-6) / (2 * n))


def chi2(counts: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether counts fit."""
    degrees, x = len(counts) - 1, math.log(1e6)
    return float(((counts - expected) ** 2 / expected).sum()) < degrees + 2 * math.sqrt(degrees * x) + 2 * x


def normal(x: torch.Tensor) -> torch.Tensor:
    return 0.5 * (1 + torch.erf(x / math.sqrt(2)))


@cases("name", EVERY)
@cases("T", [1, 2, 10])
def test_every_place_has_a_level_and_the_stream_alone_decides(name, T):
    sampling, schedule = EVERY[name], linear(T)
    history = warmed(sampling, T)
    torch.manual_seed(0)
    first = draw(sampling, schedule, 500, 3, history)
    torch.manual_seed(1)
    again = draw(sampling, schedule, 500, 3, history)
    assert all(v.dtype == torch.float64 and v.shape == (500,) for v in first)
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert 0 < float(first.timesteps.min()) <= float(first.timesteps.max()) <= T
    assert (first.weights > 0).all()
    assert schedule.levels(first.timesteps).sigma.gt(0).all()
    if T > 1:
        assert not torch.equal(draw(sampling, schedule, 500, 4, history).timesteps, first.timesteps)


def test_one_of_each_stratum():
    """Under the shift that all share, image i is where the first is, i n-ths of the axis on."""
    for n in [1, 7, 128, 1000]:
        for seed in range(20):
            timesteps, weights = draw(Stratified(), linear(40), n, seed)
            strata = ((timesteps / 40 * n).ceil().long() - 1).sort().values
            assert strata.tolist() == list(range(n))
            assert torch.equal(weights, torch.ones_like(weights))


def test_places_are_uniform():
    """Of independent draws over all images; stratified ones of the same image of many steps."""
    T, stream = 100, Stream(0, "levels")
    independent = draw(Uniform(), linear(T), 20_000).timesteps
    stratified = torch.cat([Stratified().draw(linear(T), 8, stream, None).timesteps[3:4] for _ in range(5_000)])
    for timesteps in (independent, stratified):
        assert distance(timesteps, lambda x: x / T) < bound(len(timesteps))


def test_uniform_places_are_uniform_levels():
    for T in [3, 100]:
        n = 100_000
        levels = linear(T).levels(draw(Uniform(), linear(T), n).timesteps).t.long()
        counts = torch.bincount(levels, minlength=T).double()
        assert chi2(counts, torch.full((T,), n / T))


@cases(("mean", "std"), [(-1.2, 1.2), (0.5, 0.7)])
def test_log_normal_ratio(mean, std):
    """ln(sigma / alpha) of the drawn timesteps is normal between the schedule's ends, where the rest is."""
    n, schedule = 5_000, cosine(1000)
    timesteps = draw(LogNormal(mean, std), schedule, n).timesteps
    ends = [math.log(schedule.level(i).sigma / schedule.level(i).alpha) for i in (1, 1000)]
    levels = [schedule.level(timestep) for timestep in timesteps.tolist()]
    ratio = torch.tensor([math.log(level.sigma / level.alpha) for level in levels], dtype=torch.float64)
    for x in torch.linspace(ends[0], ends[1], 50)[1:-1].tolist():
        share = float((ratio <= x).double().mean())
        assert abs(share - float(normal(torch.tensor((x - mean) / std, dtype=torch.float64)))) < bound(n)


def test_log_normal_is_held_at_the_ends():
    timesteps = draw(LogNormal(0.0, 100.0), linear(10), 1000).timesteps
    assert float(timesteps.min()) == 1
    assert float(timesteps.max()) == 10


@cases(("mean", "std"), [(0.0, 1.0), (-0.5, 0.6)])
def test_logit_normal(mean, std):
    n, T = 20_000, 40
    timesteps = draw(LogitNormal(mean, std), linear(T), n).timesteps
    assert distance(timesteps / T, lambda u: normal((torch.logit(u) - mean) / std)) < bound(n)


@cases("name", ["log-normal", "logit-normal"])
def test_what_belongs_to_the_objective_has_no_weight(name):
    assert draw(EVERY[name], linear(10), 50).weights.eq(1).all()


@cases("name", ["uniform", "stratified", "importance", "importance of ticks"])
def test_the_estimate_of_a_mean_over_the_axis_is_unbiased(name):
    """mean(w · f) over 4,000 batches of 8, or 40,000 where many are drawn at once, against the mean of f over the
    levels, within five standard errors."""
    T, sampling = 12, EVERY[name]
    f = torch.arange(1, T + 1).double().sin().exp()
    history, stream = warmed(sampling, T), Stream(0, "levels")
    if name == "stratified":
        batches = [sampling.draw(linear(T), 8, stream, history) for _ in range(4000)]
        timesteps, weights = (torch.stack(values) for values in zip(*batches, strict=True))
    else:  # images of a batch are as independent as batches are
        drawn = sampling.draw(linear(T), 320_000, stream, history)
        timesteps, weights = (values.reshape(40_000, 8) for values in drawn)
    found = (weights * f[timesteps.ceil().long() - 1]).mean(1)
    assert abs(float(found.mean() - f.mean())) < 5 * float(found.std()) / len(found) ** 0.5


def test_stratified_varies_less():
    f, stream = torch.arange(100, dtype=torch.float64).square(), Stream(0, "levels")

    def spread(sampling):
        timesteps = [sampling.draw(linear(100), 16, stream, None).timesteps for _ in range(200)]
        return float(torch.stack([f[p.ceil().long() - 1].mean() for p in timesteps]).std())

    assert spread(Stratified()) < 0.25 * spread(Uniform())


@dataclass
class Written:
    """The second-moment resampler of Nichol & Dhariwal 2021, written out once more in NumPy."""

    T: int
    per_level: int = 10
    share: float = 0.001

    def __post_init__(self):
        self.kept = np.zeros((self.T, self.per_level))
        self.counts = np.zeros(self.T, dtype=int)

    def update(self, ts, losses):
        for t, loss in zip(ts, losses, strict=True):
            if self.counts[t] == self.per_level:
                self.kept[t, :-1] = self.kept[t, 1:]
                self.kept[t, -1] = loss
            else:
                self.kept[t, self.counts[t]] = loss
                self.counts[t] += 1

    def weights(self):
        if not (self.counts == self.per_level).all():
            return np.ones(self.T)
        w = np.sqrt(np.mean(self.kept**2, axis=-1))
        w /= np.sum(w)
        return w * (1 - self.share) + self.share / len(w)


def test_importance_is_that_of_the_original():
    T, sampling, written = 7, Importance(), Written(7)
    history, stream = sampling.history(T), Stream(0, "levels")
    cold = warm = 0
    for _ in range(60):
        timesteps = T * (1 - stream.uniform(9)).sqrt()
        losses = stream.uniform(9) * timesteps**2
        history.add(timesteps, losses)
        written.update((np.ceil(timesteps.numpy()) - 1).astype(int), losses.numpy())
        p = written.weights() / written.weights().sum()
        np.testing.assert_allclose(sampling.probabilities(history).numpy(), p, rtol=1e-13)
        np.testing.assert_array_equal(history.losses.numpy(), written.kept)
        drawn = sampling.draw(linear(T), 30, stream, history)
        np.testing.assert_allclose(drawn.weights, 1 / (T * p[drawn.timesteps.ceil().long() - 1]), rtol=1e-13)
        cold, warm = cold + (not history.warm), warm + history.warm
    assert cold > 5
    assert warm > 5


def test_levels_are_drawn_as_often_as_they_should():
    """Within its interval a timestep is uniform."""
    n, T, sampling = 50_000, 10, Importance(per_level=2)
    history = warmed(sampling, T)
    timesteps = draw(sampling, linear(T), n, 0, history).timesteps
    level = timesteps.ceil()
    expected = n * sampling.probabilities(history)
    counts = torch.bincount(level.long(), minlength=T + 1)[1:].double()
    assert chi2(counts, expected)
    assert distance(timesteps - level + 1, lambda x: x) < bound(n)


def test_warm_with_the_last_loss_of_the_last_level():
    sampling = Importance(per_level=3)
    history = sampling.history(4)
    assert history.losses.shape == (4, 3)
    for _ in range(3):
        history.add(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([9.0, 1.0, 1.0]))
    history.add(torch.tensor([2.5, 2.1]), torch.tensor([1.0, 1.0]))
    assert not history.warm
    even = draw(sampling, linear(4), 100, 0, history)
    assert torch.equal(even.weights, torch.ones(100, dtype=torch.float64))
    history.add(torch.tensor([3.0]), torch.tensor([1.0]))
    assert history.warm
    p = 0.999 * torch.tensor([9, 1, 1, 1], dtype=torch.float64) / 12 + 0.001 / 4
    torch.testing.assert_close(sampling.probabilities(history), p, rtol=1e-15, atol=0)


def test_the_oldest_loss_goes():
    history = Importance(per_level=3).history(2)
    history.add(torch.tensor([1.5, 1.2, 2.0, 0.3, 1.1, 2.0]), torch.tensor([1.0, 2.0, 3.0, 7.0, 4.0, 5.0]))
    assert history.losses.tolist() == [[7, 0, 0], [3, 4, 5]]
    assert history.counts.tolist() == [1, 3]


def test_a_history_is_restored_in_place():
    sampling = Importance(per_level=2)
    history, other = warmed(sampling, 5), sampling.history(5)
    for name, saved in history.tensors().items():
        other.tensors()[name].copy_(saved)
    assert other.warm
    assert torch.equal(sampling.probabilities(other), sampling.probabilities(history))


def test_ticks_are_what_is_drawn_rounded_up():
    one, other = draw(Ticks(Stratified()), linear(9), 40), draw(Stratified(), linear(9), 40)
    assert torch.equal(one.timesteps, other.timesteps.ceil())
    assert torch.equal(one.weights, other.weights)
    assert Ticks(Uniform()).history(9) is None
