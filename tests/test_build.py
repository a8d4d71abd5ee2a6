"""Names and the objects that they stand for."""

from typing import Any, Literal, get_args

import pytest
import torch

from cases import cases
from ddpm import build
from ddpm.conditioning import LabelEmbedding
from ddpm.config.codec import CodecConfig
from ddpm.config.diffusion import DiffusionConfig
from ddpm.config.network import NetworkSettings
from ddpm.config.sampling import SamplingConfig
from ddpm.config.solver import SolverConfig
from ddpm.core import Continuous, NetworkDenoiser, Parameterisation, discrete, prediction
from ddpm.core.continuous import VE, VP, EDMProcess, Flow, SubVP
from ddpm.core.model import Model
from ddpm.guidance import (
    Autoguidance,
    ByItself,
    ClassifierFree,
    ClassifierFreeStages,
    Clipped,
    GuidanceInterval,
    Projected,
    Rescaled,
    Thresholded,
)
from ddpm.planning.recipes import RECIPES
from ddpm.sampling import DDIM, Ancestral, fixed_large, fixed_small, grid
from ddpm.sampling.adaptive import Adaptive
from ddpm.sampling.deis import DEIS
from ddpm.sampling.dpm_multistep import DPMMultistep
from ddpm.sampling.dpm_solver import DPMSolver2, DPMSolver3, DPMSolverPP2S
from ddpm.sampling.edm import EDMSolver as Stochastic
from ddpm.sampling.exponential import bh1
from ddpm.sampling.heun import Heun
from ddpm.sampling.ipndm import IPNDM
from ddpm.sampling.langevin import Langevin
from ddpm.sampling.unipc import UniPC
from ddpm.system import names
from ddpm.system.errors import InputError
from ddpm.system.tree import groups, short
from refusal import refuses


def kinds(union: Any) -> Any:
    """The names of the members of a tagged union."""
    mark = short(union)
    assert mark is not None
    return Literal[tuple(name for names in mark.tags(groups(union)).values() for name in names)]


@cases(
    ("known", "objects"),
    [
        (names.ScheduleName, build.SCHEDULES),
        (names.PredictionName, build.PREDICTIONS),
        (names.VarianceName, build.VARIANCES),
        (names.WeightingName, build.WEIGHTINGS),
        (names.LevelSamplingName, build.LEVEL_SAMPLINGS),
        (names.SolverName, build.SOLVERS),
        (names.GridName, build.GRIDS),
        (names.RecipeName, RECIPES),
        (names.InterpolationName, build.INTERPOLATIONS),
        (names.FeaturesName, build.OWN_FEATURES | build.FEATURES),
        (kinds(SolverConfig), build.SOLVERS),
        (kinds(NetworkSettings), build.NETWORKS),
        (kinds(CodecConfig), build.CODECS),
    ],
)
def test_every_name_has_its_object(known, objects):
    assert set(get_args(known)) == set(objects)


def test_names_mean_what_they_say():
    curves = {"vp": VP(), "sub-vp": SubVP(), "ve": VE(), "edm": EDMProcess(), "flow": Flow()}
    for name, made in build.SCHEDULES.items():
        if name in curves:
            assert made(30) == Continuous(curves[name], 30)
        else:
            assert made is getattr(discrete, name.replace("-", "_"))
    for name, predict in build.PREDICTIONS.items():
        assert predict == (prediction.EDMPrediction(0.5) if name == "edm" else getattr(prediction, name))
    for name, made in build.GRIDS.items():
        named = {"linspace": grid.uniform, "karras": grid.Karras(7.0, 80.0), "beta": grid.Beta(0.6)}
        named |= {"power": grid.Power(1.5), "log-snr": grid.LogSNR(80.0), "exponential": grid.LogSNR(80.0)}
        assert made == (named[name] if name in named else getattr(grid, name))


@cases(
    ("name", "eta", "solver"),
    [
        ("ddim", None, DDIM(0.0)),
        ("ddim", 0.7, DDIM(0.7)),
        ("ancestral", None, Ancestral()),
        ("ancestral-small", None, Ancestral(fixed_small)),
        ("ancestral-large", None, Ancestral(fixed_large)),
        ("euler", None, DDIM(0.0)),
        ("euler-ancestral", None, DDIM(1.0)),
        ("euler-ancestral", 0.7, DDIM(0.7)),
        ("dpm-solver-1", None, DDIM(0.0)),
        ("dpm++-1s", None, DDIM(0.0)),
        ("heun", None, Heun()),
        ("langevin", None, Langevin()),
        ("dpm++-2m", None, DPMMultistep(2)),
        ("dpm++-3m", None, DPMMultistep(3)),
        ("dpm++-3m-exact", None, DPMMultistep(3, curvature=1.0)),
        ("sde-dpm++-2m", None, DPMMultistep(2, 1.0)),
        ("sde-dpm++-3m", None, DPMMultistep(3, 1.0)),
        ("unipc-1", None, UniPC(1)),
        ("unipc-2", None, UniPC(2)),
        ("unipc-3", None, UniPC(3)),
        ("unipc-1-bh1", None, UniPC(1, bh1)),
        ("unipc-2-bh1", None, UniPC(2, bh1)),
        ("unipc-3-bh1", None, UniPC(3, bh1)),
        ("deis-1", None, DEIS(1)),
        ("deis-2", None, DEIS(2)),
        ("deis-3", None, DEIS(3)),
        ("ipndm-1", None, IPNDM(1)),
        ("ipndm-2", None, IPNDM(2)),
        ("ipndm-3", None, IPNDM(3)),
        ("ipndm-4", None, IPNDM(4)),
    ],
)
def test_solvers(name, eta, solver):
    assert build.build_solver(SamplingConfig.of(solver=name, eta=eta), discrete.linear()) == solver


@cases(("variance", "own"), [("small", Ancestral()), ("large", Ancestral(fixed_large)), ("learned", Ancestral())])
def test_ancestral_sampling_has_the_runs_variance(variance, own):
    """Unless one of the two is named."""
    for name, expected in (("ancestral", own), ("ancestral-small", Ancestral(fixed_small)), ("ddim", DDIM())):
        made = build.build_solver(SamplingConfig(solver=name), discrete.linear(), variance=variance)
        assert made == expected


def test_solvers_that_know_the_process():
    edm, adaptive, *others = (
        build.build_solver(SamplingConfig.of(**given), discrete.linear())
        for given in (
            {"solver": "edm", "churn": 3.0},
            {"solver": "adaptive", "tolerance": 0.02},
            {"solver": "dpm-solver-2"},
            {"solver": "dpm-solver-3"},
            {"solver": "dpm++-2s"},
        )
    )
    assert edm == Stochastic(edm.between, churn=3.0)
    assert adaptive == Adaptive(adaptive.between, tolerance=0.02)
    assert [type(solver) for solver in others] == [DPMSolver2, DPMSolver3, DPMSolverPP2S]
    for solver in (edm, adaptive, *others):
        assert solver.between(1.0).alpha == pytest.approx(0.5**0.5)


@cases("zero", [False, True])
def test_schedules(zero):
    made = build.build_schedule(DiffusionConfig(schedule="sigmoid", T=30, zero_terminal_snr=zero))
    expected = discrete.zero_terminal_snr(discrete.sigmoid(30)) if zero else discrete.sigmoid(30)
    assert torch.equal(made.alpha_bar, expected.alpha_bar)


def test_grids():
    made = build.build_grid(SamplingConfig.of(grid="quadratic", steps=7), discrete.linear())
    assert made == grid.quadratic(discrete.linear(), 7)
    with refuses("invalid"):
        build.build_grid(SamplingConfig.of(steps=7), discrete.linear(5))


def test_a_grid_of_places():
    schedule = discrete.linear(1000)
    made = build.build_grid(SamplingConfig.of(grid=(1000, 700, 99.5)), schedule)
    assert made == [schedule.level(timestep) for timestep in (1000, 700, 99.5, 0)]
    with refuses("invalid", "1000"):
        build.build_grid(SamplingConfig.of(grid=(1000, 700, 99.5)), discrete.linear(5))


def test_wrappers_of_a_denoiser():
    """Guided where there is something to guide away from and a scale that changes something; clipped last."""
    model, ask = Model(torch.nn.Identity(), {"label": LabelEmbedding(3, 4)}), Parameterisation(prediction.v)
    null = model.cond({}, 1)

    def make(away=null, weak=None, between=False, **settings):
        how = SamplingConfig.of(**settings)
        return build.build_clipped(how, build.build_guided(how, model, ask, away, weak, between=between))

    plain = NetworkDenoiser(model.net, ask)
    both = make(guidance=3.0)
    assert isinstance(both, Clipped)
    assert isinstance(both.denoise, ClassifierFree)
    assert both.denoise == ClassifierFree(plain, null, 3.0)
    assert make() == Clipped(plain)
    assert make(clip=False) == plain
    assert make(guidance=3.0, away=None) == Clipped(plain)
    assert isinstance(make(guidance=0.0, clip=False), ClassifierFree)
    stages = make(guidance=3.0, guidance_label=2.0, between=True, clip=False)
    assert isinstance(stages, ClassifierFreeStages)
    assert (stages.denoise, stages.scales) == (plain, (2.0, 3.0))
    assert make(guidance=3.0, guidance_label=2.0, clip=False) == ClassifierFree(plain, null, 3.0)
    assert make(guidance=3.0, between=True, clip=False) == ClassifierFree(plain, null, 3.0)
    bad = Model(torch.nn.Identity(), {"label": LabelEmbedding(3, 4)})
    weak = ByItself(NetworkDenoiser(bad.net, ask), bad.cond)
    assert make(guidance=3.0, weak=bad) == Clipped(Autoguidance(plain, weak, 3.0))
    assert make(guidance=3.0, weak=bad, away=None) == Clipped(Autoguidance(plain, weak, 3.0))
    high = make(guidance=3.0, threshold=0.9)
    assert high == Thresholded(ClassifierFree(plain, null, 3.0), 0.9)
    within = make(guidance=3.0, guidance_interval=(0.2, 5.0), clip=False)
    assert within == GuidanceInterval(ClassifierFree(plain, null, 3.0), plain, 0.2, 5.0)
    assert make(guidance=3.0, guidance_parallel=0.0).denoise.rule == Projected()
    assert make(guidance=3.0, guidance_norm=2.0).denoise.rule == Projected(1.0, 2.0)
    both = make(guidance=3.0, guidance_norm=2.0, guidance_parallel=0.5, guidance_rescale=0.7).denoise.rule
    assert both == Rescaled(0.7, Projected(0.5, 2.0))
    assert make(guidance=3.0, guidance_rescale=0.7, clip=False) == ClassifierFree(plain, null, 3.0, Rescaled(0.7))


def test_features():
    made = build.build_features("embedded", None, (64, 48), torch.device("cpu"))
    assert (made.name, made.dim) == ("embedded", 832)
    assert build.build_features("embedded", None, (8, 8), torch.device("cpu")).dim == 416
    assert build.build_features("16x16-pixel", None, (8, 8), torch.device("cpu")).dim == 768


def test_features_by_their_name(monkeypatch):
    asked = []
    monkeypatch.setitem(build.FEATURES, "clip", lambda weights, device: asked.append((weights, device)))
    build.build_features("clip", "folder", (8, 8), torch.device("cpu"))
    assert asked == [("folder", torch.device("cpu"))]


@cases(
    ("name", "weights", "said"),
    [
        ("inceptionv3", None, r"unknown features 'inceptionv3' \(did you mean 'inception'\?\)"),
        ("x", None, r"unknown features 'x' \(known: embedded, 16x16-pixel, inception, dinov2, clip\)"),
        ("embedded", "w.pth", r"--features embedded .*--weights"),
        ("16x16-pixel", "w.pth", r"--features 16x16-pixel .*--weights"),
        ("inception", "nothing.pth", r"nothing\.pth"),
    ],
)
def test_features_that_cannot_be_had(name, weights, said):
    with pytest.raises(InputError, match=said):
        build.build_features(name, weights, (8, 8), torch.device("cpu"))
