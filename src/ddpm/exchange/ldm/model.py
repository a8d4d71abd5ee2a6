"""A file with a network, an autoencoder and a text encoder."""

import math
from pathlib import Path

from ddpm.exchange.files import READERS, read_tensors
from ddpm.exchange.flags import parse_flags
from ddpm.exchange.imported import Imported
from ddpm.exchange.ldm.first_stage import read_first_stage
from ddpm.exchange.ldm.process import read_process
from ddpm.exchange.ldm.text import read_text
from ddpm.exchange.ldm.unet import read_unet
from ddpm.exchange.tensors import ForeignTensors
from ddpm.exchange.text_to_image import text_to_image
from ddpm.system.errors import InputError
from ddpm.system.names import suggest

FLAGS: dict[str, type] = {
    "tokenizer": str,
    "image_size": int,
    "num_heads": int,
    "parameterization": str,
    "scale_factor": float,
    "weights": str,
}
"""Facts that the file lacks: the tokenizer's folder, the training settings, and which weights to use."""
STATE, NETWORK, AVERAGE = "state_dict.", "model.diffusion_model.", "model_ema."
CAPTIONS = "cond_stage_model.transformer."
SELDOM = {
    "conditioner.": "a model of Stable Diffusion XL",
    "cond_stage_model.model.": "Stable Diffusion 2, whose text encoder is one of OpenCLIP",
    f"{CAPTIONS}attn_layers.": "a latent diffusion model with a text encoder of its own",
}
"""The beginnings of names in other models' files."""
ASIDE = ("optimizer_states.", "callbacks.", "lr_schedulers.", "loops.")
"""The state of training, which some files contain next to the model."""
WEIGHTS = ("ema", "model")
SIZE = 512
"""The side of Stable Diffusion's images."""


def recognises(path: Path) -> bool:
    """Whether a file has the tensors of a latent diffusion model."""
    if not path.is_file() or path.suffix.lower() not in READERS:
        return False
    names = read_tensors(path).keys()
    return any(f"{prefix}{NETWORK}input_blocks.0.0.weight" in names for prefix in ("", STATE))


def read_model(path: Path, flags: str | None) -> Imported:
    """Read a model; the averaged weights if there are any.

    Raises:
        InputError: the file or a flag cannot be used, or the tokenizer is missing.
    """
    given = parse_flags(flags, FLAGS)
    tensors, inferred = _tensors(path, given.get("weights"))
    _refuse_others(tensors)
    if "tokenizer" not in given:
        raise InputError(
            "missing",
            f'{path} has no tokenizer, as no such file has; add --flags "--tokenizer FOLDER" with the one of '
            "openai/clip-vit-large-patch14, which pipelines of diffusers have in their folder tokenizer",
        )
    parts = {
        "network": tensors.under(NETWORK),
        "autoencoder": tensors.under("first_stage_model."),
        "text encoder": tensors.under(CAPTIONS),
    }
    read = tuple(f"{what}, {_count(part):,} parameters, from {path}" for what, part in parts.items())
    network, weights = read_unet(parts["network"], given.get("num_heads"), inferred)
    codec = read_first_stage(parts["autoencoder"], tensors, given.get("scale_factor"), inferred)
    text = read_text(parts["text encoder"], Path(given["tokenizer"]), inferred)
    process = read_process(tensors, given.get("parameterization"), inferred)
    tensors.finish()
    side = given.get("image_size", SIZE)
    if "image_size" not in given:
        inferred.append(f'images of {SIZE} × {SIZE}, as in Stable Diffusion; --flags "--image_size N" for others')
    if side % codec.config.network.factor:
        raise InputError(
            "invalid", f"--flags has --image_size {side}; it must be a multiple of {codec.config.network.factor}"
        )
    latents = side // codec.config.network.factor
    return text_to_image(
        network,
        weights,
        codec,
        text,
        process,
        size=(latents, latents),
        source=str(path),
        read=read,
        inferred=tuple(inferred),
    )


def _tensors(path: Path, weights: str | None) -> tuple[ForeignTensors, list[str]]:
    """The tensors of the model alone, with the averaged weights of the network if they are wanted.

    Raises:
        InputError: there are no averaged weights, but they are wanted.
    """
    if weights not in (None, *WEIGHTS):
        raise InputError("unknown", f"--flags has --weights {weights}{suggest(str(weights), [*WEIGHTS])}")
    found, inferred = read_tensors(path), []
    if any(name.startswith(STATE) for name in found):
        found = {name.removeprefix(STATE): tensor for name, tensor in found.items() if not name.startswith(ASIDE)}
    # their names in the average have no dots, and lack "model."
    averages = {name: f"{AVERAGE}{name.removeprefix('model.').replace('.', '')}" for name in found}
    averages = {name: average for name, average in averages.items() if name.startswith(NETWORK) and average in found}
    if weights == "ema" and not averages:
        raise InputError("missing", f"{path} has no averaged weights; leave out --weights ema")
    if averages:
        chosen = "model" if weights == "model" else "ema"
        if chosen == "ema":
            found |= {name: found[average] for name, average in averages.items()}
        left = {*averages.values(), f"{AVERAGE}decay", f"{AVERAGE}num_updates"}
        found = {name: tensor for name, tensor in found.items() if name not in left}
        inferred.append(f"weights are {'those of the last step' if chosen == 'model' else 'the moving average'}")
    return ForeignTensors(found, str(path)), inferred


def _refuse_others(tensors: ForeignTensors) -> None:
    """Refuse a file of another model.

    Raises:
        InputError: it is one.
    """
    names = tensors.names()
    for prefix, what in SELDOM.items():
        if any(name.startswith(prefix) for name in names):
            raise InputError(
                "incompatible",
                f"{tensors.source} is {what}, which is not supported as a single file; use one of Stable Diffusion 1, "
                "or a folder of diffusers with Stable Diffusion 1 or 2",
            )
    if not any(name.startswith(CAPTIONS) for name in names):
        raise InputError(
            "incompatible", f"{tensors.source} has no text encoder of CLIP; use a file of Stable Diffusion 1"
        )


def _count(tensors: ForeignTensors) -> int:
    return sum(math.prod(tensors.shape(name)) for name in tensors.names())
