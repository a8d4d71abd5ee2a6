"""Models of lucidrains' denoising-diffusion-pytorch, version 2: its Trainer's files, and states of its classes."""

from pathlib import Path
from typing import Any

import torch

from ddpm import build
from ddpm.config.data import DataConfig
from ddpm.config.diffusion import DiffusionConfig
from ddpm.config.lucidrains_unet import LucidrainsUNetSettings
from ddpm.config.objective import HybridLoss, ObjectiveConfig, PlainLoss
from ddpm.config.run import IMPORTED, RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.config.training import TrainSettings
from ddpm.exchange.files import holds_tensors, read_tensors
from ddpm.exchange.fitted import inferring, read_fitting
from ddpm.exchange.flags import parse_flags
from ddpm.exchange.imported import MODES, Imported
from ddpm.exchange.lucidrains_process import StoredProcess, read_process
from ddpm.exchange.lucidrains_unet import STEM, read_settings, table
from ddpm.exchange.tensors import ForeignTensors
from ddpm.records.run_folder import Weights
from ddpm.sampling.grid import trailing
from ddpm.system.errors import InputError
from ddpm.system.units import size

FLAGS: dict[str, type] = {
    "image_size": str,
    "weights": str,
    "objective": str,
    "beta_schedule": str,
    "timesteps": int,
    "sampling_timesteps": int,
    "ddim_sampling_eta": float,
    "auto_normalize": bool,
    "dropout": float,
}
"""The arguments of Unet and GaussianDiffusion that matter to a trained model, and which weights to take."""
PLACES = {"ema": "ema.ema_model.", "model": "model."}
"""The weights in the Trainer's files: their moving average, and those of the last step."""
ASIDE = ("ema.ema_model.", "ema.online_model.", "ema.initted", "ema.step", "model.", "opt.", "scaler.")
"""Everything in these files; all but one set of weights is left out."""


def recognises(path: Path) -> bool:
    """Whether a file has the tensors of this program's U-Net."""
    wholes = (f"{prefix}{inner}{STEM}" for prefix in ("", *PLACES.values()) for inner in ("", "model."))
    return holds_tensors(path) and not read_tensors(path).keys().isdisjoint(wholes)


def read_model(path: Path, flags: str | None) -> Imported:
    """Read a model; the averaged weights if there are any.

    Raises:
        InputError: the file or a flag cannot be used, or they contradict each other.
    """
    given = parse_flags(flags, FLAGS)
    if not given.get("auto_normalize", True):
        raise InputError("incompatible", f"{path}: --auto_normalize False is not supported; x0 must be in [-1, 1]")
    tensors, chosen = _chosen(path, read_tensors(path), given)
    net = tensors.under("model.") if f"model.{STEM}" in tensors else tensors
    settings = read_settings(net)
    dropout = given.get("dropout", 0.0)
    if not 0 <= dropout < 1:
        raise InputError("invalid", f"--flags has --dropout {dropout:g}; it must be at least 0 and below 1")
    settings = settings.model_copy(update={"dropout": dropout})
    process = read_process(tensors, given)
    config = _config(path, given, settings, process)
    weights = read_fitting(config, table(settings), net)
    tensors.finish()
    channels = "1 channel" if settings.in_channels == 1 else f"{settings.in_channels} channels"
    count = sum(weight.numel() for weight in weights.values())
    return Imported(
        config,
        weights,
        (f"{settings.describe()}, {count:,} parameters",),
        (*chosen, *process.inferred, f"images are {config.data.mode}, as the network has {channels}"),
    )


def _chosen(path: Path, tensors: Weights, given: dict[str, Any]) -> tuple[ForeignTensors, tuple[str, ...]]:
    """One set of weights, and lines about the choice."""
    wanted = given.get("weights")
    if wanted not in (None, *PLACES):
        raise InputError("unknown", f"--flags has --weights {wanted}; choose from {', '.join(PLACES)}")
    there = [name for name, prefix in PLACES.items() if f"{prefix}model.{STEM}" in tensors]
    if not there:
        if wanted is not None:
            raise InputError("conflict", f"{path} has only one set of weights; leave out --weights {wanted}")
        return ForeignTensors(tensors, str(path)), ()
    name = wanted or there[0]
    if name not in there:
        raise InputError("missing", f"{path} has no weights {PLACES[name]}…; leave out --weights {name}")
    prefix = PLACES[name]
    kept = {known.removeprefix(prefix): tensor for known, tensor in tensors.items() if known.startswith(prefix)}
    kept |= {known: tensor for known, tensor in tensors.items() if not known.startswith(ASIDE)}
    words = {
        "ema": "weights are their moving average; --weights model takes those of the last step",
        "model": "weights are those of the last step; --weights ema takes their moving average",
    }
    return ForeignTensors(kept, str(path)), (words[name],)


def _config(path: Path, given: dict[str, Any], settings: LucidrainsUNetSettings, process: StoredProcess) -> RunConfig:
    if "image_size" not in given:
        raise InputError("missing", f'{path} does not say the size of its images; add --flags "--image_size 64"')
    diffusion, learned = process.diffusion, settings.out_channels > settings.in_channels
    with inferring(str(path), RunConfig):
        return RunConfig(
            recipe=IMPORTED,
            request={"import": str(path)},
            data=DataConfig.unknown(size(given["image_size"]), MODES[settings.in_channels]),
            diffusion=diffusion.model_copy(update={"variance": "learned"}) if learned else diffusion,
            objective=ObjectiveConfig(
                loss=HybridLoss(name="hybrid") if learned else PlainLoss(name="simple"), weighting=process.weighting
            ),
            network=settings,
            training=TrainSettings(images=0, label_dropout=0),
            sampling=_sampling(given, diffusion),
        )


def _sampling(given: dict[str, Any], diffusion: DiffusionConfig) -> SamplingConfig:
    """DDIM in fewer steps than levels, if asked for, else an ancestral step at each level."""
    T = diffusion.T
    steps, eta = given.get("sampling_timesteps", T), given.get("ddim_sampling_eta", 0.0)
    if not 1 <= steps <= T:
        raise InputError("invalid", f"--flags has --sampling_timesteps {steps}; it must be between 1 and {T}")
    if steps == T:
        return SamplingConfig.of(solver="ancestral", steps=T)
    visited = [int(t) + 1 for t in torch.linspace(-1, T - 1, steps + 1)][:0:-1]
    usual = [int(level.t) + 1 for level in trailing(build.build_schedule(diffusion), steps)[:-1]]
    grid = "trailing" if visited == usual else tuple(map(float, visited))
    return SamplingConfig.of(solver="ddim", eta=eta or None, steps=steps, grid=grid)
