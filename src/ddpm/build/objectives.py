"""Build forward processes and training objectives by name."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch

from ddpm.build.given import given, with_options
from ddpm.build.networks import build_codec
from ddpm.codec import Codec, PixelCodec
from ddpm.codec.premultiplied import premultiplied
from ddpm.config.autoencoder import AutoencoderConfig
from ddpm.config.autoencoding import LPIPSConfig
from ddpm.config.classifier import ClassifierConfig
from ddpm.config.diffusion import DiffusionConfig
from ddpm.config.objective import HybridLoss, ObjectiveConfig
from ddpm.config.run import RunConfig
from ddpm.core import Continuous, Discrete, Parameterisation, Prediction, Schedule, continuous, discrete, prediction
from ddpm.core.parameterisation import UnitVariance
from ddpm.core.schedule import TimeScaled
from ddpm.metrics.features.lpips import LPIPS
from ddpm.metrics.features.perceptual import EmbeddedDistance
from ddpm.objectives import Hybrid, Loss, SimpleLoss, Variational, level_sampling, weighting
from ddpm.objectives.adversarial import PatchAdversary
from ddpm.objectives.autoencoding import Autoencoding, scaled
from ddpm.objectives.bound import least
from ddpm.objectives.classification import Classification
from ddpm.objectives.consistency import ConsistencyDistillation, MidTraining, Tuning
from ddpm.objectives.denoising import Denoising
from ddpm.objectives.distillation import Distillation, StudentPath, TeacherTrajectory
from ddpm.objectives.level_sampling import LevelSampling
from ddpm.objectives.noised import NoiseLevels
from ddpm.objectives.progressive import Progressive, TeacherEstimate
from ddpm.objectives.weighting import Weighting
from ddpm.sampling import DDIM, no_noise
from ddpm.system.errors import InputError

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
"""The mix of the two bounds of a reverse step's variance, unless the network predicts it."""
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


def build_schedule(config: DiffusionConfig) -> Schedule:
    """The forward process, with t as the network takes it."""
    made = discrete.custom(config.betas) if config.betas is not None else SCHEDULES[config.schedule](config.T)
    if config.sigma_max is not None:
        made = continuous.up_to(made, config.sigma_max)
    if config.zero_terminal_snr:
        assert isinstance(made, Discrete), "the config refuses it in continuous time"
        made = discrete.zero_terminal_snr(made)
    return made if config.time_scale == 1 else TimeScaled(made, config.time_scale)


def build_parameterisation(config: DiffusionConfig) -> Parameterisation:
    """The parameterisation of the network."""
    with_data = partial(with_options, sigma_data=config.sigma_data)
    return Parameterisation(
        with_data(PREDICTIONS[config.prediction]) if config.prediction == "edm" else PREDICTIONS[config.prediction],
        with_data(UnitVariance()) if config.scales_input else None,
        config.variance == "learned",
    )


def build_loss(config: RunConfig, schedule: Schedule) -> Loss:
    """The training loss."""
    objective, ask = config.objective, build_parameterisation(config.diffusion)
    ticks = [schedule.level(i) for i in range(min(2, schedule.T), -1, -1)]
    simple = SimpleLoss(ask, build_weighting(config))
    bound = Variational(ask, schedule.T, least(ticks), VARIANCES[config.diffusion.variance])
    if isinstance(objective.loss, HybridLoss):
        return Hybrid(simple, bound, **given(objective.loss))
    return bound if objective.loss.name == "vlb" else simple


def build_weighting(config: RunConfig) -> Weighting:
    """The weighting of the simple loss."""
    how = config.objective.weighting
    weigh: Weighting = with_options(WEIGHTINGS[how.name], **given(how))
    if how.name == "edm":
        weigh = with_options(weigh, sigma_data=config.diffusion.sigma_data)
    return weigh


def build_level_sampling(config: ObjectiveConfig) -> LevelSampling:
    """The distribution of noise levels in a training step."""
    drawn = with_options(LEVEL_SAMPLINGS[config.levels.name], **given(config.levels))
    return drawn if config.loss.name == "simple" else level_sampling.Ticks(drawn)


def build_objective(config: RunConfig, codec: Codec | None = None) -> Denoising:
    """The objective of a run: its noise levels, loss and codec.

    Args:
        codec: That of the run; None for one without weights.
    """
    schedule = build_schedule(config.diffusion)
    noise = NoiseLevels(schedule, build_level_sampling(config.objective), config.training.label_dropout)
    return Denoising(noise, build_loss(config, schedule), (codec or build_codec(config)).sample)


def build_distillation(config: RunConfig, teacher: TeacherTrajectory) -> Distillation:
    """The objective of a student, which takes the steps of the run's sampling settings.

    Args:
        teacher: The teacher's trajectory at the levels of those steps.
    """
    taught, schedule = config.distillation, build_schedule(config.diffusion)
    assert taught is not None
    paths = [StudentPath(grid, tuple(map(schedule.level, (*grid, 0)))) for grid in config.paths]
    return Distillation(
        tuple(paths),
        config.shape,
        teacher,
        build_parameterisation(config.diffusion),
        lambda denoise, x, now, next: DDIM().step(denoise, x, now, next, None, no_noise)[0],
        config.training.label_dropout,
        taught.guidance,
        taught.seed,
    )


def build_progressive(config: RunConfig, teacher: TeacherEstimate, codec: Codec | None = None) -> Progressive:
    """The objective of a stage of progressive distillation.

    Args:
        teacher: The teacher's estimate of x0.
        codec: That of the run; None for one without weights.
    """
    taught, ask = config.distillation, build_parameterisation(config.diffusion)
    assert taught is not None
    assert not isinstance(taught.sampling.grid, str)
    return Progressive(
        build_schedule(config.diffusion),
        taught.sampling.grid,
        teacher,
        SimpleLoss(ask, weighting.truncated_snr),
        (codec or build_codec(config)).sample,
        config.training.label_dropout,
        taught.guidance,
        taught.seed,
    )


def build_consistency(
    config: RunConfig, trajectory: TeacherTrajectory, estimate: TeacherEstimate, codec: Codec | None = None
) -> ConsistencyDistillation:
    """The objective of a consistency student.

    Args:
        trajectory: The teacher's trajectory at all levels of its grid.
        estimate: The teacher's estimate of x0.
        codec: That of the run; None for one without weights.
    """
    taught, ask = config.distillation, build_parameterisation(config.diffusion)
    schedule = build_schedule(config.diffusion)
    assert taught is not None
    assert not isinstance(taught.sampling.grid, str)
    path = StudentPath(taught.sampling.grid, tuple(map(schedule.level, (*taught.sampling.grid, 0))))
    own = tuple(sorted({timestep for grid in config.paths for timestep in grid}, reverse=True))
    dropout, guidance, steps = config.training.label_dropout, taught.guidance, config.training.steps
    first = MidTraining(path, own, config.shape, trajectory, ask, dropout, guidance)
    stage = round((1 - taught.tuning) * steps), steps
    encode = (codec or build_codec(config)).sample
    second = Tuning(schedule, estimate, ask, encode, stage, dropout, guidance)
    return ConsistencyDistillation(first, second, taught.tuning, taught.seed)


def build_classification(config: ClassifierConfig) -> Classification:
    """The objective of a classifier, with uniform noise levels."""
    noise = NoiseLevels(build_schedule(config.diffusion), level_sampling.Uniform())
    return Classification(noise, build_classification_ask(config.diffusion), PixelCodec().sample)


def build_classification_ask(config: DiffusionConfig) -> Parameterisation:
    """The parameterisation of a classifier: the run's, but its output is logits without a variance."""
    return replace(build_parameterisation(config), learned_variance=False)


def build_autoencoding(config: AutoencoderConfig, device: torch.device) -> Autoencoding:
    """The objective of an autoencoder, with the networks of its loss on a device.

    Raises:
        InputError: the weights of LPIPS cannot be read, or changed; or the images are too small for the discriminator.
    """
    o, how = config.objective, config.objective.adversarial
    side, factor = min(config.data.size), config.network.factor
    side = factor * scaled(side // factor, factor) if o.equivariance else side
    if how is not None and 2**how.layers > side:
        raise InputError(
            "invalid",
            f"objective.adversarial.layers is {how.layers}, too many for images of {side} pixels"
            f"{', the smallest with objective.equivariance' if o.equivariance else ''}; use at most "
            f"{side.bit_length() - 1}",
        )
    # read even if its term has no weight: LPIPS is measured at the end, too
    lpips = None if o.lpips is None else build_lpips(o.lpips, device)
    return Autoencoding(
        premultiplied,
        (lpips or EmbeddedDistance(device)) if o.perceptual else None,
        o.perceptual,
        o.kl,
        config.training.steps,
        o.kl_warmup,
        o.equivariance,
        None if how is None else PatchAdversary(how.start, how.alone, how.weight),
    )


def build_lpips(config: LPIPSConfig, device: torch.device) -> LPIPS:
    """LPIPS with the weights that an autoencoder was started with.

    Raises:
        InputError: they cannot be read, or changed.
    """
    found = LPIPS.load(config.source, device)
    if found.hash != config.weights:
        raise InputError(
            "incompatible",
            f"the weights in {config.source} changed since training was started (their hash is {found.hash}, not "
            f"{config.weights}); restore the file, or choose another --out",
        )
    return found
