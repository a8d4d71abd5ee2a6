"""Under a perfect denoiser the probability flow gives the density that the data has.

What is left is the tolerance of its solver, the noise at its start, and, where the last level still has signal, that
sampling starts without it. The first laws leave only the tolerance, as they know the other two.
"""

import math
from dataclasses import dataclass
from itertools import pairwise, product

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal, Normal

from ddpm.core import Cond, Denoised, Level, Schedule
from ddpm.core.continuous import VE, VP, Continuous, EDMProcess, Flow, SubVP
from ddpm.core.discrete import cosine, linear, zero_terminal_snr
from ddpm.metrics.likelihood import GREYS, ProbabilityFlow, bits_per_dim

from .exact import Gaussian, Mixture, meeting

MEAN = torch.tensor([0.4, -0.2], dtype=torch.float64)
COV = torch.tensor([[0.9, 0.5], [0.5, 0.8]], dtype=torch.float64)
LN2 = math.log(2)


SCHEDULES: dict[str, Schedule] = {
    "linear": linear(1000),
    "linear to zero signal": zero_terminal_snr(linear(1000)),
    "cosine": cosine(1000),
    "vp": Continuous(VP()),
    "sub-vp": Continuous(SubVP()),
    "ve": Continuous(VE()),
    "edm": Continuous(EDMProcess()),
    "flow": Continuous(Flow()),
}


@dataclass(frozen=True)
class Cloud:
    """The perfect denoiser of a mixture of two round Gaussians in the plane; images are (B, 2, 1)."""

    means: torch.Tensor
    std: float

    def density(self, level: Level) -> MixtureSameFamily:
        """Of alpha · x0 + sigma · eps."""
        cov = (level.alpha**2 * self.std**2 + level.sigma**2) * torch.eye(2, dtype=torch.float64)
        return MixtureSameFamily(Categorical(torch.ones(2).double()), MultivariateNormal(level.alpha * self.means, cov))

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        level = meeting(level, x)
        off = x - level.alpha * self.means.mT  # (B, 2, 1) -> (B, 2, 2): both Gaussians
        var = level.alpha**2 * self.std**2 + level.sigma**2
        share = (-off.square().sum(1, keepdim=True) / (2 * var)).softmax(-1)
        each = self.means.mT + level.alpha * self.std**2 / var * off
        return Denoised((share * each).sum(-1, keepdim=True))


CLOUD = Cloud(torch.tensor([[-0.5, 0.3], [0.6, -0.1]], dtype=torch.float64), 0.2)


@dataclass(frozen=True)
class Independent:
    """The perfect denoiser of independent N(0, var) numbers."""

    var: float

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        level = meeting(level, x)
        return Denoised(level.alpha * self.var / (level.alpha**2 * self.var + level.sigma**2) * x)


def earliest(schedule: Schedule) -> float:
    """Where Song et al. 2021 start, u = 1e-5; of a discrete schedule level 1."""
    return schedule.timestep_at(1e-5) if isinstance(schedule, Continuous) else 1.0


def axes(x0: torch.Tensor) -> torch.Tensor:
    """Probes √D · e_i, which give a divergence exactly: (D, B, D, 1) for images (B, D, 1)."""
    d = x0.shape[1]
    return (math.sqrt(d) * torch.eye(d, dtype=x0.dtype))[:, None, :, None].expand(d, *x0.shape).contiguous()


def from_gaussian(mean: torch.Tensor, n: int = 16) -> torch.Tensor:
    """(n, 2, 1) images of N(mean, COV)."""
    z = torch.randn(n, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return (mean + z @ torch.linalg.cholesky(COV).mT)[..., None]


def pushed(data: Gaussian, schedule: Schedule, x0: torch.Tensor, start: float = 1.0) -> torch.Tensor:
    """The density at x0 of N(0, sigma_T²) moved by the flow, which for Gaussian data is an affine map, in nats."""
    first, last = schedule.level(start), schedule.level(schedule.T)
    spread = torch.linalg.eigvalsh(data.cov)
    std_first, std_last = ((l.alpha**2 * spread + l.sigma**2).sqrt() for l in (first, last))
    end = data.flow(first.alpha * x0, first, last)[..., 0]
    stretch = (first.alpha * std_last / std_first).log().sum()
    return Normal(0.0, last.sigma).log_prob(end).sum(1) + stretch


def test_gaussian_data_is_moved_exactly():
    """Within 2e-5 bits per dimension of a formula that knows both ends, in less than 40 evaluations."""
    data, x0 = Gaussian(MEAN, COV), from_gaussian(MEAN)
    for name, schedule in SCHEDULES.items():
        log_p, evaluations = ProbabilityFlow(data, schedule).log_density(x0, axes(x0))
        error = (log_p - pushed(data, schedule, x0)) / (2 * LN2)
        assert error.abs().max() < 2e-5, name
        assert evaluations < 40, name


def test_gaussian_data_has_its_density():
    """Within 1e-3 bits per dimension of the data's own density, both ends included."""
    data, x0 = Gaussian(0 * MEAN, COV), from_gaussian(0 * MEAN)
    for name, schedule in SCHEDULES.items():
        log_p, _ = ProbabilityFlow(data, schedule).log_density(x0, axes(x0))
        error = (log_p - MultivariateNormal(data.mean, COV).log_prob(x0[..., 0])) / (2 * LN2)
        assert error.abs().max() < 1e-3, name


@pytest.mark.parametrize(("tolerance", "n"), [(1e-5, 6), (1e-8, 3)])
def test_data_at_the_scale_of_pixels_is_moved_exactly(tolerance, n):
    """A standard deviation of one grey value, from the time of Song et al. 2021: bits per dimension are within five
    times the tolerance over that deviation, as an error of z counts by how far it moves in the data."""
    data, x0 = Gaussian(MEAN, COV / GREYS**2), MEAN[:, None] + from_gaussian(0 * MEAN, n) / GREYS
    for name, process in SCHEDULES.items():
        start = earliest(process)
        log_p, _ = ProbabilityFlow(data, process, tolerance, tolerance, start).log_density(x0, axes(x0))
        error = (log_p - pushed(data, process, x0, start)) / (2 * LN2)
        assert error.abs().max() < 5 * tolerance * GREYS, name


@pytest.mark.parametrize("name", ["vp", "sub-vp", "flow", "edm"])
def test_data_at_the_scale_of_pixels_has_its_bits(name):
    """8-bit images of N(0, (2 greys)²) rounded to the lattice: the closed form of dequantised bits, from the earliest
    time. On average over a cell -log p has another 1/12 grey² of spread; the noise of the start is in the variance."""
    process, std = SCHEDULES[name], 2.0
    first = process.level(earliest(process))
    greys = 127.5 + std * torch.randn(16, 1, 24, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = greys.round()
    data = Independent((std / GREYS) ** 2)
    bits = bits_per_dim(ProbabilityFlow(data, process, start=earliest(process)), values / GREYS - 1, 0, range(16))[0]
    var = std**2 + (GREYS * first.sigma / first.alpha) ** 2
    off = ((values - 127.5).square() + 1 / 12).mean((1, 2, 3))
    closed = (0.5 * math.log(2 * math.pi * var) + off / (2 * var)) / LN2
    difference = bits - closed
    # of the 576 draws in an image's cells
    assert difference.mean().abs() < 5 * difference.std() / math.sqrt(16) + 1e-4
    assert difference.std() < 0.025


def test_the_floor_falls_with_the_start():
    """At the mean of data of a third of a grey value, level 1 leaves bits by the closed form, and u = 1e-5 a few."""
    var = (1 / 3 / GREYS) ** 2
    x0, own = torch.zeros(1, 1, 1, dtype=torch.float64), 0.5 * math.log2(2 * math.pi * var)
    for name in ["vp", "sub-vp", "flow"]:
        process, lost = SCHEDULES[name], {}
        for start in (1.0, earliest(process)):
            first = process.level(start)
            log_p, _ = ProbabilityFlow(Independent(var), process, start=start).log_density(x0, axes(x0))
            lost[start] = -float(log_p) / LN2 - own
            s2 = (first.sigma / first.alpha) ** 2
            # the prior of vp and sub-vp has lost 1e-4 bits of the signal at T
            assert lost[start] == pytest.approx(0.5 * math.log2(1 + s2 / var), abs=2e-4), name
        assert lost[earliest(process)] < 0.1 * lost[1.0] + 2e-4, name


@pytest.mark.parametrize(("tolerance", "bits"), [(1e-5, 1e-3), (1e-8, 1e-6)])
def test_a_mixture_has_its_density(tolerance, bits):
    """Per dimension, against the analytic density at level 1; the last level has no signal."""
    for schedule in ["linear to zero signal", "flow"]:
        first = SCHEDULES[schedule].level(1)
        x0 = 0.7 * torch.randn(12, 2, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        flow = ProbabilityFlow(CLOUD, SCHEDULES[schedule], tolerance, tolerance)
        log_p, _ = flow.log_density(x0, axes(x0))
        expected = CLOUD.density(first).log_prob(first.alpha * x0[..., 0]) + 2 * math.log(first.alpha)
        assert (log_p - expected).abs().max() < 2 * LN2 * bits


def test_an_image_of_a_batch_is_the_image_alone():
    """Bit for bit, whoever else is in the batch, whose hardest image decides how often the denoiser is asked."""
    x0 = torch.tensor([0.01, 0.3, 1, 6], dtype=torch.float64).reshape(-1, 1, 1) * CLOUD.means[:1, :, None]
    e = axes(x0)
    for name in ["cosine", "vp", "flow"]:
        flow = ProbabilityFlow(CLOUD, SCHEDULES[name])
        together, most = flow.log_density(x0, e)
        alone, evaluations = zip(*(flow.log_density(x0[i : i + 1], e[:, i : i + 1]) for i in range(4)), strict=True)
        assert torch.equal(together, torch.cat(alone)), name
        assert most == max(evaluations), name
        assert len(set(evaluations)) > 1, name


def test_a_finer_tolerance_is_nearer():
    """A hundredth of the tolerance leaves less than a tenth of the error, and costs evaluations."""
    schedule = SCHEDULES["linear to zero signal"]
    first = schedule.level(1)
    x0 = CLOUD.means[..., None] + torch.tensor([0.1, -0.2], dtype=torch.float64)[:, None]
    expected = CLOUD.density(first).log_prob(first.alpha * x0[..., 0]) + 2 * math.log(first.alpha)
    errors, costs = [], []
    for tolerance in (1e-3, 1e-5, 1e-7, 1e-9):
        log_p, evaluations = ProbabilityFlow(CLOUD, schedule, tolerance, tolerance).log_density(x0, axes(x0))
        errors.append(float((log_p - expected).abs().max()))
        costs.append(evaluations)
    assert all(fine < coarse / 10 for coarse, fine in pairwise(errors))
    assert costs == sorted(set(costs))


def test_the_probes_are_unbiased():
    """The mean over all signs that there are, one half standing for both, is the exact value, up to the tolerance."""
    n, d = 32, 6
    a = torch.randn(d, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    data = Gaussian(torch.zeros(d).double(), 0.2 * a @ a.mT + 0.1 * torch.eye(d).double())
    flow, x0 = ProbabilityFlow(data, linear(1000)), 0.5 * torch.ones(1, d, 1, dtype=torch.float64)
    exact = flow.log_density(x0, axes(x0))[0]
    signs = torch.tensor([(1, *rest) for rest in product((-1, 1), repeat=d - 1)]).double()[None, :, :, None]
    log_p = flow.log_density(x0.expand(n, d, 1), signs)[0]
    assert log_p.std() > 0.1
    assert (log_p.mean() - exact).abs() < 1e-5 * d


def test_what_level_1_costs_is_bounded():
    """Between 0 and ``s² L / 2`` nats at the peak of N(0, 1 / L), and as much as a Gaussian's peak falls."""
    schedule = SCHEDULES["linear to zero signal"]
    first, variance = schedule.level(1), 2e-3
    s2 = (first.sigma / first.alpha) ** 2
    data = Gaussian(torch.zeros(1).double(), torch.full((1, 1), variance).double())
    x0 = torch.zeros(1, 1, 1, dtype=torch.float64)
    lost = math.log(1 / math.sqrt(2 * math.pi * variance)) - float(
        ProbabilityFlow(data, schedule).log_density(x0, axes(x0))[0]
    )
    assert lost == pytest.approx(math.log(1 + s2 / variance) / 2, abs=2e-4)
    assert 0 < lost < s2 / variance / 2


def test_the_only_image_has_the_fewest_bits():
    """``log2(√(2π) · 127.5 s)`` per dimension, 1.68 with the linear schedule: level 1 blurs it."""
    schedule = zero_terminal_snr(linear(1000))
    only = Mixture(*(torch.tensor([v], dtype=torch.float64) for v in (1.0, 25 / GREYS - 1, 0.0)))
    x0 = torch.full((1, 3, 2, 2), 25 / GREYS - 1, dtype=torch.float64)
    log_p, _ = ProbabilityFlow(only, schedule).log_density(x0, torch.ones(1, 1, 3, 2, 2, dtype=torch.float64))
    assert -float(log_p) / (12 * LN2) + math.log2(GREYS) == pytest.approx(1.676, abs=1e-3)


def test_lattice_data_has_no_fewer_bits_than_its_entropy():
    """Grey values 100 … 103 of unequal weight: the mean is a quadrature's within five standard errors, not below H.

    Each of 24 x 24 values is drawn by itself, so the Jacobian is diagonal and the signs ±1 exact.
    """
    weights = torch.tensor([0.1, 0.4, 0.3, 0.2], dtype=torch.float64)
    greys = torch.tensor([100, 101, 102, 103], dtype=torch.float64) / GREYS - 1
    schedule = zero_terminal_snr(linear(1000))
    data = Mixture(weights, greys, torch.zeros(4, dtype=torch.float64))
    drawn = torch.multinomial(weights, 16 * 576, replacement=True, generator=torch.Generator().manual_seed(0))
    images = greys[drawn].reshape(16, 1, 24, 24)
    bits = bits_per_dim(ProbabilityFlow(data, schedule), images, 0, range(16))[0]

    first = schedule.level(1)
    within = (torch.arange(200, dtype=torch.float64) + 0.5) / 200 - 0.5
    x = greys[:, None, None] + within[:, None] / GREYS
    density = (weights * Normal(greys, first.sigma / first.alpha).log_prob(x).exp()).sum(-1)
    expected = float((weights * -(density / GREYS).log2().mean(1)).sum())
    entropy = float(-(weights * weights.log2()).sum())
    assert abs(float(bits.mean()) - expected) < 5 * float(bits.std()) / math.sqrt(16)
    assert entropy < float(bits.mean()) < entropy + 1
