"""From names to objects: the one file that knows both."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from ddpm.codec import PixelCodec
from ddpm.conditioning import BoxMeans, LabelEmbedding, LowResolution
from ddpm.config.classifier import ClassifierConfig
from ddpm.config.clipping import DynamicClip
from ddpm.config.diffusion import DiffusionConfig
from ddpm.config.guidance import GuidanceConfig
from ddpm.config.objective import HybridLoss, ObjectiveConfig
from ddpm.config.run import RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.core import (
    Cond,
    Continuous,
    Denoiser,
    Discrete,
    Level,
    NetworkDenoiser,
    Parameterisation,
    Prediction,
    Schedule,
    Stream,
    continuous,
    discrete,
    prediction,
)
from ddpm.core.model import Model
from ddpm.core.parameterisation import UnitVariance
from ddpm.core.precision import Autocast
from ddpm.core.schedule import TimeScaled, level_of
from ddpm.guidance import (
    Autoguidance,
    ByItself,
    ClassifierFree,
    ClassifierGuided,
    Clipped,
    GuidanceInterval,
    Projected,
    Rescaled,
    Rule,
    Thresholded,
    Within,
    extrapolate,
)
from ddpm.guidance.classifier import Direction
from ddpm.images.pixels import Pixels
from ddpm.metrics.features.embedded import Embedded
from ddpm.metrics.features.extractor import Extractor
from ddpm.metrics.features.inception import Inception
from ddpm.metrics.features.vision import clip, dinov2
from ddpm.networks import NoisedClassifier, UNet
from ddpm.networks.embeddings import TimeEmbedding
from ddpm.objectives import Hybrid, Loss, SimpleLoss, Variational, level_sampling, weighting
from ddpm.objectives.bound import least
from ddpm.objectives.classification import Classification
from ddpm.objectives.denoising import Denoising
from ddpm.objectives.level_sampling import LevelSampling
from ddpm.objectives.noised import NoiseLevels
from ddpm.objectives.weighting import Weighting, concentration, on_output
from ddpm.sampling import DDIM, Ancestral, Between, Grid, Solver, fixed_large, fixed_small, grid
from ddpm.sampling.adaptive import Adaptive
from ddpm.sampling.deis import DEIS
from ddpm.sampling.dpm_multistep import DPMMultistep
from ddpm.sampling.dpm_solver import DPMSolver2, DPMSolver3, DPMSolverPP2S
from ddpm.sampling.edm import EDMSolver
from ddpm.sampling.exponential import bh1
from ddpm.sampling.heun import Heun
from ddpm.sampling.ipndm import IPNDM
from ddpm.sampling.langevin import Langevin
from ddpm.sampling.tempered import Tempered
from ddpm.sampling.unipc import UniPC
from ddpm.system.errors import InputError
from ddpm.system.names import VarianceName, suggest
from ddpm.system.record import Strict

NETWORKS: dict[str, Callable[[Any], torch.nn.Module]] = {"unet": UNet}
CODECS: dict[str, Callable[[], PixelCodec]] = {"pixel": PixelCodec}
SCHEDULES: dict[str, Callable[[int], Schedule]] = {
    "linear": discrete.linear,
    "scaled-linear": discrete.scaled_linear,
    "cosine": discrete.cosine,
    "sigmoid": discrete.sigmoid,
    "vp": partial(Continuous, continuous.VP()),
    "sub-vp": partial(Continuous, continuous.SubVP()),
    "ve": partial(Continuous, continuous.VE()),
    "edm": partial(Continuous, continuous.EDMProcess()),
    "flow": partial(Continuous, continuous.Flow()),
}
PREDICTIONS: dict[str, Prediction] = {
    "eps": prediction.eps,
    "x0": prediction.x0,
    "v": prediction.v,
    "flow": prediction.flow,
    "edm": prediction.EDMPrediction(),
}
VARIANCES = {"small": 0.0, "large": 1.0, "learned": 0.0}
"""The mix of the two bounds of a reverse step's variance, where the network does not say it."""
WEIGHTINGS: dict[str, Weighting] = {
    "simple": weighting.simple,
    "constant": weighting.constant,
    "snr": weighting.snr,
    "truncated-snr": weighting.truncated_snr,
    "min-snr": weighting.MinSNR(),
    "p2": weighting.P2(),
    "edm": weighting.EDMWeighting(),
}
LEVEL_SAMPLINGS: dict[str, LevelSampling] = {
    "uniform": level_sampling.Uniform(),
    "stratified": level_sampling.Stratified(),
    "log-normal": level_sampling.LogNormal(),
    "logit-normal": level_sampling.LogitNormal(),
    "importance": level_sampling.Importance(),
}
SOLVERS: dict[str, Callable[[Between], Solver]] = {
    "ddim": lambda between: DDIM(),
    "ancestral": lambda between: Ancestral(),
    "ancestral-small": lambda between: Ancestral(fixed_small),
    "ancestral-large": lambda between: Ancestral(fixed_large),
    "euler": lambda between: DDIM(),  # in (x / alpha, sigma / alpha)
    "euler-ancestral": lambda between: DDIM(1.0),
    "heun": lambda between: Heun(),
    "edm": EDMSolver,
    "dpm-solver-1": lambda between: DDIM(),
    "dpm-solver-2": DPMSolver2,
    "dpm-solver-3": DPMSolver3,
    "dpm++-1s": lambda between: DDIM(),
    "dpm++-2s": DPMSolverPP2S,
    "langevin": lambda between: Langevin(),
    "adaptive": Adaptive,
    "dpm++-2m": lambda between: DPMMultistep(2),
    "dpm++-3m": lambda between: DPMMultistep(3),
    "dpm++-3m-exact": lambda between: DPMMultistep(3, curvature=1.0),
    "sde-dpm++-2m": lambda between: DPMMultistep(2, eta=1.0),
    "sde-dpm++-3m": lambda between: DPMMultistep(3, eta=1.0),
    "unipc-1": lambda between: UniPC(1),
    "unipc-2": lambda between: UniPC(2),
    "unipc-3": lambda between: UniPC(3),
    "unipc-1-bh1": lambda between: UniPC(1, bh1),
    "unipc-2-bh1": lambda between: UniPC(2, bh1),
    "unipc-3-bh1": lambda between: UniPC(3, bh1),
    "deis-1": lambda between: DEIS(1),
    "deis-2": lambda between: DEIS(2),
    "deis-3": lambda between: DEIS(3),
    "ipndm-1": lambda between: IPNDM(1),
    "ipndm-2": lambda between: IPNDM(2),
    "ipndm-3": lambda between: IPNDM(3),
    "ipndm-4": lambda between: IPNDM(4),
}
GRIDS: dict[str, Grid] = {
    "uniform": grid.uniform,
    "linspace": grid.uniform,  # the name it has in diffusers
    "leading": grid.leading,
    "trailing": grid.trailing,
    "quadratic": grid.quadratic,
    "power": grid.Power(),
    "log-snr": grid.LogSNR(),
    "exponential": grid.LogSNR(),  # the name it has in diffusers
    "karras": grid.Karras(),
    "beta": grid.Beta(),
}
HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}
FEATURES: dict[str, Callable[[str | None, torch.device], Extractor]] = {
    "inception": Inception.load,
    "dinov2": dinov2,
    "clip": clip,
}
"""Published networks, by their weights and device; "embedded" needs neither file nor name."""


def build_schedule(config: DiffusionConfig) -> Schedule:
    """The forward process, its levels' t as the network is fed it.

    Raises:
        InputError: zero-terminal SNR of a continuous one.
    """
    made = _process(config)
    return made if config.time_scale == 1 else TimeScaled(made, config.time_scale)


def _process(config: DiffusionConfig) -> Schedule:
    made = discrete.custom(config.betas) if config.betas is not None else SCHEDULES[config.schedule](config.T)
    if config.sigma_max is not None:
        return continuous.up_to(made, config.sigma_max)
    if not config.zero_terminal_snr:
        return made
    if not isinstance(made, Discrete):
        raise InputError(f"the {config.schedule} schedule is continuous, and its end is fixed; drop zero_terminal_snr")
    return discrete.zero_terminal_snr(made)


def build_parameterisation(config: DiffusionConfig) -> Parameterisation:
    """How the network is asked."""
    with_data = _with(sigma_data=config.sigma_data)
    return Parameterisation(
        with_data(PREDICTIONS[config.prediction]) if config.prediction == "edm" else PREDICTIONS[config.prediction],
        with_data(UnitVariance()) if config.scales_input else None,
        config.variance == "learned",
    )


def build_loss(config: RunConfig, schedule: Schedule) -> Loss:
    """What training makes small."""
    objective, ask = config.objective, build_parameterisation(config.diffusion)
    ticks = [schedule.level(i) for i in range(min(2, schedule.T), -1, -1)]
    simple = SimpleLoss(ask, build_weighting(config))
    bound = Variational(ask, schedule.T, least(ticks), VARIANCES[config.diffusion.variance])
    if isinstance(objective.loss, HybridLoss):
        return Hybrid(simple, bound, **_given(objective.loss))
    return bound if objective.loss.name == "vlb" else simple


def build_weighting(config: RunConfig) -> Weighting:
    """Of the simple loss."""
    how = config.objective.weighting
    weigh: Weighting = _with(**_given(how))(WEIGHTINGS[how.name])
    if how.name == "edm":
        weigh = _with(sigma_data=config.diffusion.sigma_data)(weigh)
    return weigh


def weight_share(config: RunConfig) -> float:
    """The share of the levels, as training draws them first, on which the simple loss lies; see ``concentration``."""
    schedule, sampling = build_schedule(config.diffusion), build_level_sampling(config.objective)
    # a few draws have most of the weight, and of too few draws none: 4096 tell the share to a quarter only
    drawn = sampling.draw(schedule, 65_536, Stream(0, "weight share"), sampling.history(schedule.T))
    predict = build_parameterisation(config.diffusion).prediction
    weights = on_output(build_weighting(config), predict, schedule.levels(drawn.places))
    return concentration(weights.expand(len(drawn.places)))


def build_level_sampling(config: ObjectiveConfig) -> LevelSampling:
    """Which levels the images of a training step get."""
    drawn = _with(**_given(config.levels))(LEVEL_SAMPLINGS[config.levels.name])
    return drawn if config.loss.name == "simple" else level_sampling.Ticks(drawn)


def build_objective(config: RunConfig) -> Denoising:
    """What a run minimises, and what it draws for it."""
    schedule = build_schedule(config.diffusion)
    noise = NoiseLevels(schedule, build_level_sampling(config.objective), config.training.label_dropout)
    return Denoising(noise, build_loss(config, schedule), build_codec(config).encode)


def build_codec(config: RunConfig) -> PixelCodec:
    """Between 8-bit images and what is diffused."""
    return CODECS[config.codec.kind]()


def build_derived(config: RunConfig) -> dict[str, Callable[[Pixels], Pixels]]:
    """What is made of each image of a run for its conditions, by kind, where that is not given."""
    if config.upscaling is None or config.upscaling.low is not None:
        return {}
    return {"low_resolution": BoxMeans(build_codec(config), config.upscaling.scale)}


def _with(**options: float | None) -> Callable[[Any], Any]:
    """Changes those options of a frozen object that are given."""
    given = {name: value for name, value in options.items() if value is not None}
    return lambda one: replace(one, **given) if given else one


def _given(group: Strict) -> dict[str, Any]:
    """Those options of a named group that are given."""
    return group.model_dump(exclude={"name"}, exclude_none=True)


def build_model(config: RunConfig) -> Model:
    """The run's network and its conditioners, with fresh weights from torch's global generator."""
    classes, width = len(config.data.classes), config.network.cond_width
    label = {"label": LabelEmbedding(classes, width)} if classes and width is not None else {}
    net, low = NETWORKS[config.network.kind](config.network), {}
    if config.upscaling is not None and width is not None:
        strength, u = TimeEmbedding(config.network.width, width), config.upscaling
        low = {"low_resolution": LowResolution(strength, build_codec(config), u.scale, u.s_max)}
    return Model(net, {**label, **low})


def build_classifier(config: ClassifierConfig) -> Model:
    """A classifier of noised images, with fresh weights."""
    return Model(NoisedClassifier(config.network))


def build_classification(config: ClassifierConfig) -> Classification:
    """What such a classifier minimises, at levels drawn evenly."""
    noise = NoiseLevels(build_schedule(config.diffusion), level_sampling.Uniform())
    return Classification(noise, build_classification_ask(config.diffusion), PixelCodec().encode)


def build_classification_ask(config: DiffusionConfig) -> Parameterisation:
    """How a classifier is called: as the run's network, but its output are logits, without a variance."""
    return replace(build_parameterisation(config), learned_variance=False)


def build_features(name: str, weights: str | None, size: tuple[int, int], device: torch.device) -> Extractor:
    """A network that looks at images of (H, W).

    Raises:
        InputError: an unknown name, or weights that cannot be had.
    """
    if name == "embedded":
        if weights is not None:
            raise InputError(f"the embedded features have their own weights; give {weights} to another --features")
        return Embedded(size, device)
    if name not in FEATURES:
        raise InputError(f"unknown features {name!r}{suggest(name, ['embedded', *FEATURES])}")
    return FEATURES[name](weights, device)


def build_solver(
    config: SamplingConfig,
    schedule: Schedule,
    towards: Direction | None = None,
    variance: VarianceName = "small",
) -> Solver:
    """The solver with its options, on a process.

    Args:
        towards: where a classifier leads, which the mean of an ancestral step follows if that is its form.
        variance: the run's, which ``ancestral`` takes.
    """
    options, own = _given(config.solver), config.solver.name == "ancestral" and variance == "large"
    temperature = options.pop("temperature", None)
    name = "ancestral-large" if own else config.solver.name
    made: Solver = _with(**options)(SOLVERS[name](partial(level_of, schedule)))
    if config.classifier is not None and config.classifier.form == "mean" and towards is not None:
        interval = config.classifier.interval
        made = replace(made, shift=towards if interval is None else Within(towards, *interval))  # type: ignore[type-var]
    return made if temperature is None else Tempered(made, temperature)


def build_grid(config: SamplingConfig, schedule: Schedule) -> list[Level]:
    """The levels to visit.

    Raises:
        InputError: more steps than the schedule has levels, or a place beyond them.
    """
    visited = GRIDS[config.grid] if isinstance(config.grid, str) else grid.Listed(config.grid)
    try:
        return visited(schedule, config.steps)
    except ValueError as e:
        raise InputError(str(e)) from e


def build_guided(
    config: SamplingConfig,
    model: Model,
    ask: Parameterisation,
    away: Cond | None = None,
    worse: Model | None = None,
    towards: Direction | None = None,
) -> Denoiser:
    """The network's denoiser, guided as the settings say.

    Args:
        away: the condition to guide away from, one row.
        worse: the model to guide away from, in its place; where both are None the network guides nothing.
        towards: where a classifier leads, which the denoiser follows if that is its form.
    """
    plain = _denoiser(config, model, ask)
    guidance, classifier, denoise = config.guidance, config.classifier, plain
    if guidance is not None and (worse is not None or away is not None):
        rule = _rule(guidance)
        if worse is not None:
            bad = ByItself(_denoiser(config, worse, ask), worse.cond)
            denoise = Autoguidance(plain, bad, guidance.scale, rule)
        elif away is not None:
            denoise = ClassifierFree(plain, away, guidance.scale, rule)
        if guidance.interval is not None:
            denoise = GuidanceInterval(denoise, plain, *guidance.interval)
    if towards is not None and classifier is not None and classifier.form == "score":
        without, denoise = denoise, ClassifierGuided(denoise, towards)
        if classifier.interval is not None:
            denoise = GuidanceInterval(denoise, without, *classifier.interval)
    return denoise


def build_clipped(config: SamplingConfig, denoise: Denoiser) -> Denoiser:
    """A denoiser, its images kept in range as the settings say."""
    if isinstance(config.clip, DynamicClip):
        return Thresholded(denoise, config.clip.quantile)
    return Clipped(denoise) if config.clip.kind == "range" else denoise


def _denoiser(config: SamplingConfig, model: Model, ask: Parameterisation) -> Denoiser:
    half = HALVES.get(config.precision or "fp32")
    return model.denoiser(ask) if half is None else NetworkDenoiser(Autocast(model.net, half), ask)


def _rule(config: GuidanceConfig) -> Rule:
    """How two answers become one."""
    rule: Rule = extrapolate
    if config.parallel is not None or config.norm is not None:
        rule = _with(eta=config.parallel, longest=config.norm)(Projected(eta=1.0))
    return rule if config.rescale is None else Rescaled(config.rescale, rule)
