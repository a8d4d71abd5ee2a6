"""The flags of OpenAI's improved-diffusion and guided-diffusion."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ddpm.config.plain_unet import PlainUNetSettings, at_level
from ddpm.exchange.flags import typed
from ddpm.exchange.imported import MODES
from ddpm.exchange.openai_unet import enlarges
from ddpm.system.errors import InputError
from ddpm.system.files import parse_json, read_file

UNSAID: dict[str, Any] = {
    "image_size": 64,
    "large_size": 256,
    "small_size": 64,
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
"""Flags that no tensor determines, and their defaults in guided-diffusion; ``use_fp16`` changes nothing here."""
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
"""Flags that the tensors determine."""
FLAGS = {name: type(value) for name, value in UNSAID.items()} | SHAPES
LEADING = (
    "num_heads",
    "num_head_channels",
    "use_new_attention_order",
    "noise_schedule",
    "predict_xstart",
)
"""The flags without which a model may be misread; their defaults are reported."""
FILE = "flags.json"
"""A file next to the model with its flags."""


def flags_beside(path: Path) -> dict[str, Any]:
    """The flags in a file next to the model; none without one.

    Raises:
        InputError: it is damaged, or has an unknown flag.
    """
    file = path.with_name(FILE)
    if not file.is_file():
        return {}
    try:
        tree = parse_json(read_file(file))
    except (OSError, ValueError) as error:
        raise InputError(
            "unreadable", f"{file} is damaged ({error}); correct it, or remove it and use --flags"
        ) from error
    if not isinstance(tree, dict):
        raise InputError("unreadable", f"{file} is not an object of flags; correct it, or remove it and use --flags")
    if unknown := sorted(tree.keys() - FLAGS.keys()):
        raise InputError("unknown", f"{file} has an unknown flag {unknown[0]}; remove it")
    return {name: typed(name, value, FLAGS[name]) for name, value in tree.items()}


def shapes_of(s: PlainUNetSettings, side: int, classes: int) -> dict[str, Any]:
    """The flags that the tensors determine, for images of this side."""
    found = {
        "num_channels": s.width,
        "num_res_blocks": s.blocks[0],
        "channel_mult": listed(s.multipliers),
        "attention_resolutions": listed(attended(s, side)),
        "class_cond": classes > 0,
        "learn_sigma": learns_variance(s),
        "use_scale_shift_norm": s.scale_shift,
    }
    return found | ({"resblock_updown": s.downsample[0] == "residual"} if len(s.multipliers) > 1 else {})


def image_channels(s: PlainUNetSettings) -> int:
    """The channels of an image."""
    return s.in_channels // 2 if enlarges(s.in_channels) else s.in_channels


def learns_variance(s: PlainUNetSettings) -> bool:
    """Whether the variance is learned."""
    return s.out_channels == 2 * image_channels(s)


def check_shapes(source: str, s: PlainUNetSettings, shapes: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Check that the network is one that generates images, and that no flag contradicts the tensors.

    Raises:
        InputError: it is not, or one does.
    """
    channels = image_channels(s)
    if channels not in MODES or s.out_channels not in (channels, 2 * channels):
        raise InputError(
            "incompatible",
            f"{source} has a network of {s.in_channels} channels in and {s.out_channels} out, which are not those of "
            "images; use a model of images of 1, 3 or 4 channels",
        )
    check_flags(source, s, shapes, known, known["image_size"])


def check_flags(
    source: str, s: PlainUNetSettings, shapes: Mapping[str, Any], known: Mapping[str, Any], side: int
) -> None:
    """Check that no flag contradicts the tensors of a network for images of this side.

    Raises:
        InputError: one does.
    """
    sides = {side // 2**i for i in range(len(s.multipliers))}
    for name, found in shapes.items():
        claimed = known.get(name, found)
        equal = claimed == found
        if name == "channel_mult" and claimed:
            equal = _numbers(name, claimed) == list(s.multipliers)
        elif name.endswith("attention_resolutions"):
            # a size that no level has does not change the network
            equal = sides.intersection(_numbers(name, claimed)) == sides.intersection(_numbers(name, found))
        if not equal:
            raise InputError(
                "conflict", f"{source} has --{name} {found}, not {claimed}; correct the flag or leave it out"
            )


def listed(numbers: Iterable[float]) -> str:
    """Numbers as their flags list them: "1,2,2"."""
    return ",".join(f"{number:g}" for number in numbers)


def attended(s: PlainUNetSettings, side: int) -> list[int]:
    """The sides of the levels with attention, for images of this side."""
    return [side // 2**i for i in range(len(s.multipliers)) if at_level(s.attention, i) == "self"]


def _numbers(name: str, listed: str) -> list[float]:
    try:
        return [float(word) for word in listed.split(",") if word.strip()]
    except ValueError:
        raise InputError("invalid", f"--{name} is {listed!r}; write numbers separated by commas") from None
