"""Models of OpenAI's improved-diffusion and guided-diffusion (Nichol & Dhariwal 2021, Dhariwal & Nichol 2021)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ddpm.config.data import DataConfig
from ddpm.config.diffusion import DiffusionConfig
from ddpm.config.objective import HybridLoss, ObjectiveConfig, PlainLoss
from ddpm.config.plain_unet import PlainUNetSettings
from ddpm.config.run import IMPORTED, RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.config.training import TrainSettings
from ddpm.config.upscaling import UpscalingConfig
from ddpm.exchange.files import holds_tensors, read_tensors
from ddpm.exchange.fitted import empty, inferring, read_fitting
from ddpm.exchange.flags import parse_flags
from ddpm.exchange.imported import MODES, Imported
from ddpm.exchange.openai_flags import (
    FILE,
    FLAGS,
    LEADING,
    UNSAID,
    check_shapes,
    flags_beside,
    image_channels,
    learns_variance,
    shapes_of,
)
from ddpm.exchange.openai_unet import ENCODER, LABELS, enlarges, read_settings, table
from ddpm.exchange.respacing import kept_timesteps
from ddpm.exchange.tensors import ForeignTensors
from ddpm.system.errors import InputError
from ddpm.system.limits import MOST_TIMESTEPS

ENLARGING = ("large_size", "small_size")
SCHEDULES = ("linear", "cosine")
STRENGTH = "conditioners.low_resolution.strength."
"""Our embedding of the noise on a small image, which is zero because their network has none."""


def recognises(path: Path) -> bool:
    """Whether a file has the tensors of these programs' U-Net."""
    return holds_tensors(path) and {*ENCODER, "output_blocks.0.0.in_layers.0.weight"} <= read_tensors(path).keys()


def read_model(path: Path, flags: str | None) -> Imported:
    """Read a model, its flags from a ``flags.json`` next to it and from the given ones, which come first.

    Raises:
        InputError: the file or a flag cannot be used, or they contradict each other.
    """
    beside = flags_beside(path)
    given = beside | parse_flags(flags, FLAGS)
    known = UNSAID | given
    tensors = ForeignTensors(read_tensors(path), str(path))
    settings = read_settings(tensors, known)
    with inferring(str(path), RunConfig):
        classes = tensors.shape(LABELS)[0] if LABELS in tensors else 0
    sizes = ENLARGING if enlarges(settings.in_channels) else ("image_size",)
    for name in {*ENLARGING, "image_size"} - {*sizes} & given.keys():
        raise InputError("conflict", f"{path} has no --{name}, but --{sizes[0]}; correct the flag or leave it out")
    known["image_size"] = known[sizes[0]]
    shapes = shapes_of(settings, known["image_size"], classes)
    check_shapes(str(path), settings, shapes, known)
    config = _config(path, settings, known, given, classes)
    ours = empty(config)
    made = {name: torch.zeros(tensor.shape) for name, tensor in ours.items() if name.startswith(STRENGTH)}
    pairs = table(settings, ours.keys() - made.keys(), new_order=known["use_new_attention_order"])
    weights = read_fitting(config, pairs, tensors) | made
    count = sum(weight.numel() for weight in weights.values())
    inferred = [
        *([f"flags are read from {path.parent / FILE}"] if beside else []),
        *(f"{name} is {value}" for name, value in shapes.items()),
        *(f"{name} is {UNSAID[name]}, the default there" for name in (*sizes, *LEADING) if name not in given),
        f"images are {config.data.mode}, as the network has {settings.in_channels} input channels",
    ]
    if classes:
        inferred.append(f"labels are 0 … {classes - 1}; there is no null class, so they do not guide by themselves")
    return Imported(config, weights, (f"{settings.describe()}, {count:,} parameters",), tuple(inferred))


def _config(
    path: Path, settings: PlainUNetSettings, known: Mapping[str, Any], given: Mapping[str, Any], classes: int
) -> RunConfig:
    T, learned = known["diffusion_steps"], learns_variance(settings)
    if not 1 <= T <= MOST_TIMESTEPS:
        raise InputError("invalid", f"--diffusion_steps is {T}; it must be between 1 and {MOST_TIMESTEPS}")
    if known["image_size"] < 1:
        raise InputError("invalid", f"the images have a side of {known['image_size']}; it must be at least 1")
    if known["noise_schedule"] not in SCHEDULES:
        raise InputError(
            "unknown", f"--noise_schedule is {known['noise_schedule']}; choose from {', '.join(SCHEDULES)}"
        )
    if T != 1000 and "rescale_timesteps" not in given:
        raise InputError(
            "missing",
            f"{path} with --diffusion_steps {T} needs --rescale_timesteps: True is the default of improved-diffusion, "
            "False that of guided-diffusion",
        )
    share = None if known["rescale_learned_sigmas"] else 1 / T
    hybrid = HybridLoss(name="hybrid", share=share) if learned else PlainLoss(name="simple")
    with inferring(str(path), RunConfig):
        diffusion = DiffusionConfig(
            schedule=known["noise_schedule"],
            T=T,
            time_scale=1000 / T if known["rescale_timesteps"] else 1.0,
            prediction="x0" if known["predict_xstart"] else "eps",
            variance="learned" if learned else "small" if known["sigma_small"] else "large",
        )
        return RunConfig(
            recipe=IMPORTED,
            request={"import": str(path)},
            data=DataConfig.unknown(
                (known["image_size"], known["image_size"]),
                MODES[image_channels(settings)],
                tuple(map(str, range(classes))),
            ),
            diffusion=diffusion,
            objective=ObjectiveConfig(loss=PlainLoss(name="vlb") if known["use_kl"] else hybrid),
            network=settings,
            training=TrainSettings(images=0, label_dropout=0),
            sampling=_sampling(known, T),
            upscaling=_upscaling(path, known) if enlarges(settings.in_channels) else None,
        )


def _upscaling(path: Path, known: Mapping[str, Any]) -> UpscalingConfig:
    """The settings of a network that sees the bilinearly enlarged image itself, without noise."""
    scale, rest = divmod(known["large_size"], known["small_size"] or 1)
    if rest or scale < 2:
        raise InputError(
            "invalid",
            f"{path}: --large_size {known['large_size']} is not a multiple of --small_size {known['small_size']}; "
            "correct the flags",
        )
    return UpscalingConfig(scale=scale, interpolation="bilinear", s_max=0.0, consistent=False)


def _sampling(known: Mapping[str, Any], T: int) -> SamplingConfig:
    """The steps of ``timestep_respacing``, ancestral or DDIM; without it, one at each level."""
    spacing = known["timestep_respacing"]
    kept = kept_timesteps(T, spacing)
    grid = "uniform" if spacing.isdecimal() or len(kept) == T else tuple(float(t + 1) for t in reversed(kept))
    return SamplingConfig.of(
        solver="ddim" if known["use_ddim"] or spacing.startswith("ddim") else "ancestral",
        steps=len(kept),
        grid=grid,
        clip=known["clip_denoised"],
    )
