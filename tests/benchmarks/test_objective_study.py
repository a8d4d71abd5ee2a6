"""What objective_matrix.py runs, what objectives.py compares, and what gradient_noise.py calls a variance."""

from itertools import combinations, product

import numpy as np
import pytest
import torch
from torch import nn

from ddpm.config.diffusion import DiffusionConfig
from ddpm.config.objective import ObjectiveConfig
from ddpm.core import Parameterisation, discrete, prediction
from ddpm.core.model import Model
from ddpm.data.dataset import Dataset
from ddpm.planning import narrow


def test_the_cover_has_every_pair_once():
    from objective_matrix import LEVELS, NEAR, PREDICTIONS, SCHEDULES, WEIGHTINGS, cases

    cover, whole = cases(every=False), cases(every=True)
    assert (len(cover), len(whole)) == (119 + len(NEAR), 175 + 40 + len(NEAR) - 1)
    assert len(set(whole)) == len(whole)
    assert set(cover) < set(whole)
    axes = {"prediction": PREDICTIONS, "weighting": WEIGHTINGS, "levels": LEVELS}
    for one, other in combinations(axes, 2):
        assert {(getattr(c, one), getattr(c, other)) for c in cover} == set(product(axes[one], axes[other]))
    assert {(c.schedule, c.prediction) for c in cover} == set(product(SCHEDULES, PREDICTIONS))


def test_the_first_case_changes_nothing():
    from objective_matrix import Case, cases

    first = cases(every=False)[0]
    assert first == Case()
    default, objective = DiffusionConfig(), ObjectiveConfig()
    assert (first.schedule, first.prediction) == (default.schedule, default.prediction)
    assert (first.weighting, first.levels) == (objective.weighting.name, objective.levels.name)


def test_the_check_of_weights_is_only_off_inside():
    from objective_matrix import any_concentration

    before = narrow.FEWEST_LEVELS
    with any_concentration():
        assert narrow.FEWEST_LEVELS == 0
    assert narrow.FEWEST_LEVELS == before > 0


def test_a_refused_combination_is_none_of_those_compared():
    from objectives import LEVELS, OBJECTIVES

    compared = {(o.loss, o.variance) for o in OBJECTIVES if o.clip is None}
    assert compared == {("simple", "small"), ("vlb", "small"), ("vlb", "learned"), ("hybrid", "learned")}
    for objective, levels in product(OBJECTIVES, LEVELS):
        keys = objective.changes(levels, seed=0, batch=8)
        ObjectiveConfig(**{k.removeprefix("objective."): v for k, v in keys.items() if k.startswith("objective.")})
        DiffusionConfig(**{k.removeprefix("diffusion."): v for k, v in keys.items() if k.startswith("diffusion.")})


def test_bits_are_compared_seed_by_seed():
    from objectives import GRIDS, T, differences, spread

    def result(value):
        return {"bits": {str(steps): {"images": [value - 0.1, value + 0.1]} for steps in (T, *GRIDS)}}

    # the seeds differ much, what is saved in each does not
    table = differences(
        {
            ("vlb", "small", "uniform"): [result(1.0), result(2.0), result(3.0)],
            ("vlb", "learned", "uniform"): [result(0.5), result(1.5), result(2.5)],
        }
    )
    assert table.rows == [("fixed small → learned, vlb, uniform", *["0.500 ± 0.000"] * 4)]
    one = {("hybrid", "learned", "uniform"): [result(2.0)], ("hybrid", "learned", "importance"): [result(1.5)]}
    assert differences(one).rows == [("uniform → importance, hybrid, learned", *["0.500 ± 0.000"] * 4)]
    assert spread([1.0, 2.0, 3.0]) == "2.000 ± 0.577"
    assert spread([1.0]) == "1.000"


def test_traces_are_those_of_the_covariance():
    from gradient_noise import squared_norm, trace

    rng = np.random.default_rng(0)
    g = rng.normal(size=(12, 5)) + 3
    counts = rng.multinomial(12, np.full(12, 1 / 12), 4)
    expected = [np.trace(np.cov(np.repeat(g, row, axis=0).T)) for row in counts]
    np.testing.assert_allclose(trace(g @ g.T, counts.astype(float)), expected)
    unbiased = (g.mean(0) ** 2).sum() - np.trace(np.cov(g.T)) / 12
    assert squared_norm(g @ g.T) == pytest.approx(unbiased)


def test_the_ratio_is_that_of_the_variances():
    from gradient_noise import summary

    torch.manual_seed(0)
    mean, noise = torch.full((50,), 0.2), torch.randn(400, 50)
    found = summary({"uniform": mean + 2 * noise, "importance": mean + noise}, batch=8)
    assert found["uniform"]["ratio"] == 1
    # the same batches: the ratio is exact in each replicate, too
    assert found["importance"]["ratio"] == pytest.approx(0.25, rel=1e-5)
    assert found["importance"]["interval"] == pytest.approx([0.25, 0.25], rel=1e-5)
    assert found["uniform"]["trace"] == pytest.approx(4 * 50, rel=0.05)
    assert found["squared_norm"] == pytest.approx(50 * 0.2**2, rel=0.3)


class _OneWeight(nn.Module):
    """Its loss at place t is weight · t² · (the image's mean): the gradient's variance over levels is a formula."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x, t, cond):
        return self.weight * x


class _Loss:
    parameterisation = Parameterisation(prediction.eps)

    def __call__(self, net, x0, eps, now, next, cond=None):
        return (net.weight * torch.as_tensor(now.t + 1) ** 2 * x0.flatten(1).mean(1)).float()


@pytest.fixture
def bench():
    from gradient_noise import Bench

    from ddpm.codec import PixelCodec
    from ddpm.objectives.denoising import Denoising
    from ddpm.objectives.level_sampling import Uniform
    from ddpm.objectives.noised import NoiseLevels

    schedule = discrete.from_betas(torch.linspace(0.01, 0.3, 10, dtype=torch.float64))
    objective = Denoising(NoiseLevels(schedule, Uniform()), _Loss(), PixelCodec().sample)
    data = Dataset(np.full((6, 2, 2, 1), 255, np.uint8), np.zeros(6, np.int64), ("a",))
    return Bench(Model(_OneWeight()), objective, data, batch=4)


def test_gradients_vary_as_the_levels_drawn_do(bench):
    from gradient_noise import SAMPLINGS, squared_norm, trace

    n, loss = 400, np.arange(1, 11) ** 2.0
    gradients = (bench.gradients(sampling, n).double() for sampling in SAMPLINGS.values())
    grams = {name: (g @ g.T).numpy() for name, g in zip(SAMPLINGS, gradients, strict=True)}
    traces = {name: trace(gram, np.ones((1, n)))[0] for name, gram in grams.items()}
    expected = loss.var() / bench.batch
    assert traces["uniform"] == pytest.approx(expected, rel=0.2)
    # the mean of n gradients is off by their deviation over sqrt(n); four times that is allowed
    assert squared_norm(grams["uniform"]) ** 0.5 == pytest.approx(loss.mean(), abs=4 * (expected / n) ** 0.5)
    assert traces["stratified"] < traces["uniform"] / 2
    # levels drawn as often as they are dear leave no variance, but for the share that stays uniform
    assert traces["importance"] < traces["uniform"] / 1000
    assert squared_norm(grams["importance"]) ** 0.5 == pytest.approx(loss.mean(), rel=1e-3)


def test_only_runs_on_the_bound_have_its_gradient(digits_run):
    from gradient_noise import at

    with pytest.raises(SystemExit, match="was not trained"):
        at(next((digits_run / "checkpoints").iterdir()), 8)


def test_a_case_goes_from_its_flags_to_figures(tmp_path, monkeypatch):
    import objective_matrix
    from objective_matrix import SAMPLING, Case, page, run, said, tables
    from objective_study.digits import NETWORK

    monkeypatch.setattr(objective_matrix, "SAMPLES", 20)
    monkeypatch.setitem(SAMPLING, "sampling.steps", 2)
    monkeypatch.setitem(NETWORK, "network.width", 8)

    trained, refused = Case(), Case(schedule="flow", prediction="eps")
    homes = {case: tmp_path / case.name for case in (trained, refused)}
    results = {case: run(case, homes[case], 128, seed=0) for case in homes}
    assert results[refused]["refused"].startswith("the configuration: diffusion: eps prediction")
    assert said(results[refused]) == "refused"
    r = results[trained]
    assert r["refused"] is None
    assert r["accuracy"] < 0.5  # of two steps of training
    assert r["concentration"] == 1
    weak = tables(results)[-1]
    assert [row[0] for row in weak.rows] == ["cosine v simple uniform", "flow eps simple uniform"]
    page(results, homes, tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").exists()
