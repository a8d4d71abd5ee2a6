"""Models of OpenAI's improved-diffusion and guided-diffusion (Nichol & Dhariwal 2021, Dhariwal & Nichol 2021)."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ddpm.config.data import DataConfig
from ddpm.config.diffusion import DiffusionConfig
from ddpm.config.objective import HybridLoss, ObjectiveConfig, PlainLoss
from ddpm.config.plain_unet import PlainUNetSettings, at_level
from ddpm.config.run import IMPORTED, RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.config.training import TrainSettings
from ddpm.exchange.files import holds_tensors, read_tensors
from ddpm.exchange.fitted import empty, inferring, read_fitting
from ddpm.exchange.flags import parse_flags, typed
from ddpm.exchange.imported import Imported
from ddpm.exchange.openai_unet import FIRST, LABELS, TIME, read_settings, table
from ddpm.exchange.respacing import kept_timesteps
from ddpm.exchange.tensors import ForeignTensors
from ddpm.system.errors import InputError

UNSAID: dict[str, Any] = {
    "image_size": 64,
    "num_heads": 4,
    "num_head_channels": -1,
    "num_heads_upsample": -1,
    "use_new_attention_order": False,
    "diffusion_steps": 1000,
    "noise_schedule": "linear",
    "predict_xstart": False,
    "rescale_timesteps": False,
    "rescale_learned_sigmas": False,
    "sigma_small": False,
    "use_kl": False,
    "timestep_respacing": "",
    "use_ddim": False,
    "clip_denoised": True,
    "dropout": 0.0,
    "use_checkpoint": False,
    "use_fp16": False,
}
"""Flags that no tensor decides, and their defaults in guided-diffusion."""
SHAPES: dict[str, type] = {
    "num_channels": int,
    "num_res_blocks": int,
    "channel_mult": str,
    "attention_resolutions": str,
    "class_cond": bool,
    "learn_sigma": bool,
    "use_scale_shift_norm": bool,
    "resblock_updown": bool,
}
"""Flags that the tensors decide."""
FLAGS = {name: type(value) for name, value in UNSAID.items()} | SHAPES
LEADING = (
    "image_size",
    "num_heads",
    "num_head_channels",
    "use_new_attention_order",
    "noise_schedule",
    "predict_xstart",
)
"""The flags without which a model may be read wrongly; their defaults are said."""
FILE = "flags.json"
"""A file next to the model with its flags."""
MODES: dict[int, Any] = {1: "L", 3: "RGB", 4: "RGBA"}
SCHEDULES = ("linear", "cosine")
POOL = "out.2.qkv_proj.weight"
"""A tensor of the noisy classifier, whose other names are those of the U-Net's first half."""


def recognises(path: Path) -> bool:
    """Whether a file has the tensors of these programs' U-Net, or of their classifier."""
    return holds_tensors(path) and {TIME, FIRST, "middle_block.1.qkv.weight"} <= read_tensors(path).keys()


def read_model(path: Path, flags: str | None) -> Imported:
    """Read a model, its flags from a ``flags.json`` next to it and from the given ones, which come first.

    Raises:
        InputError: the file or a flag cannot be used, or they contradict each other.
    """
    beside = _beside(path)
    given = beside | parse_flags(flags, FLAGS)
    known = {**UNSAID, "num_res_blocks": 2, **given}
    tensors = ForeignTensors(read_tensors(path), str(path))
    if POOL in tensors:
        raise InputError(
            "incompatible", f"{path} is a classifier, which is not imported; use a model that generates images"
        )
    settings = read_settings(tensors, known)
    with inferring(str(path), RunConfig):
        classes = tensors.shape(LABELS)[0] if LABELS in tensors else 0
    _check_shapes(str(path), settings, known, given)
    config = _config(path, settings, known, given, classes)
    pairs = table(settings, empty(config), new_order=known["use_new_attention_order"])
    weights = read_fitting(config, pairs, tensors)
    count = sum(weight.numel() for weight in weights.values())
    defaults = [f"{name} is {UNSAID[name]}, the default there" for name in LEADING if name not in given]
    inferred = [
        *([f"flags are read from {path.parent / FILE}"] if beside else []),
        *(f"{name} is {value}" for name, value in _shapes(settings, known).items()),
        *defaults,
        f"images are {config.data.mode}, as the network has {settings.in_channels} input channels",
    ]
    if classes:
        inferred.append(f"labels are 0 … {classes - 1}; there is no null class, so they do not guide by themselves")
    return Imported(config, weights, (f"{settings.describe()}, {count:,} parameters",), tuple(inferred))


def _beside(path: Path) -> dict[str, Any]:
    """The flags in a file next to the model; none without one.

    Raises:
        InputError: it is damaged, or has an unknown flag.
    """
    file = path.with_name(FILE)
    if not file.is_file():
        return {}
    try:
        tree = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            "unreadable", f"{file} is damaged ({error}); correct it, or remove it and use --flags"
        ) from error
    if not isinstance(tree, dict):
        raise InputError("unreadable", f"{file} is no object of flags; correct it, or remove it and use --flags")
    if unknown := sorted(tree.keys() - FLAGS.keys()):
        raise InputError("unknown", f"{file} has an unknown flag {unknown[0]}; remove it")
    return {name: typed(name, value, FLAGS[name]) for name, value in tree.items()}


def _shapes(s: PlainUNetSettings, known: Mapping[str, Any]) -> dict[str, Any]:
    """The flags that the tensors decide."""
    levels = range(len(s.multipliers))
    sides = [known["image_size"] // 2**i for i in levels if at_level(s.attention, i) == "self"]
    found = {
        "num_channels": s.width,
        "num_res_blocks": s.blocks[0],
        "channel_mult": ",".join(f"{m:g}" for m in s.multipliers),
        "attention_resolutions": ",".join(map(str, sides)),
        "class_cond": s.cond_width is not None,
        "learn_sigma": s.out_channels == 2 * s.in_channels,
        "use_scale_shift_norm": s.scale_shift,
    }
    return found | ({"resblock_updown": s.downsample[0] == "residual"} if len(s.multipliers) > 1 else {})


def _check_shapes(source: str, s: PlainUNetSettings, known: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Check that no flag contradicts the tensors.

    Raises:
        InputError: one does.
    """
    sides = {known["image_size"] // 2**i for i in range(len(s.multipliers))}
    for name, found in _shapes(s, known).items():
        claimed = given.get(name, found)
        equal = claimed == found
        if name == "channel_mult" and claimed:
            equal = _numbers(name, claimed) == list(s.multipliers)
        elif name == "attention_resolutions":
            # one that no level has leaves the network as it is
            equal = sides.intersection(_numbers(name, claimed)) == sides.intersection(_numbers(name, found))
        if not equal:
            raise InputError(
                "conflict", f"{source} has --{name} {found}, not {claimed}; correct the flag or leave it out"
            )
    if s.in_channels not in MODES or s.out_channels not in (s.in_channels, 2 * s.in_channels):
        raise InputError(
            "incompatible",
            f"{source} has a network of {s.in_channels} channels in and {s.out_channels} out, as for super-resolution, "
            "which is not imported; use a model of images of 1, 3 or 4 channels",
        )


def _numbers(name: str, listed: str) -> list[float]:
    try:
        return [float(word) for word in listed.split(",") if word.strip()]
    except ValueError:
        raise InputError("invalid", f"--{name} is {listed!r}; write numbers separated by commas") from None


def _config(
    path: Path, settings: PlainUNetSettings, known: Mapping[str, Any], given: Mapping[str, Any], classes: int
) -> RunConfig:
    T, learned = known["diffusion_steps"], settings.out_channels > settings.in_channels
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
            data=DataConfig(
                source="",
                fingerprint="",
                images=0,
                held_out=0,
                size=(known["image_size"], known["image_size"]),
                mode=MODES[settings.in_channels],
                classes=tuple(map(str, range(classes))),
            ),
            diffusion=diffusion,
            objective=ObjectiveConfig(loss=PlainLoss(name="vlb") if known["use_kl"] else hybrid),
            network=settings,
            training=TrainSettings(images=0, label_dropout=0),
            sampling=_sampling(known, T),
        )


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
