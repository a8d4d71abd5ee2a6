"""The published diffusion transformers of Peebles & Xie 2023, such as DiT-XL-2-256x256.pt."""

from collections.abc import Iterator, Mapping
from math import isqrt
from pathlib import Path
from typing import Any

import torch

from ddpm.config.codec import CodecConfig, PixelCodecConfig
from ddpm.config.data import DataConfig
from ddpm.config.diffusion import DiffusionConfig
from ddpm.config.dit import SIZES, PlainDiTSettings
from ddpm.config.objective import HybridLoss, ObjectiveConfig, PlainLoss
from ddpm.config.run import IMPORTED, RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.config.training import TrainSettings
from ddpm.exchange.correspondence import Correspondence, channels_last, cosines_first, layer
from ddpm.exchange.diffusers.autoencoder import read_autoencoder
from ddpm.exchange.diffusers.folder import read_part
from ddpm.exchange.files import holds_tensors, read_tensors
from ddpm.exchange.fitted import inferring, read_fitting
from ddpm.exchange.flags import parse_flags
from ddpm.exchange.imported import DROPOUT, LABEL_TABLE, Imported
from ddpm.exchange.tensors import ForeignTensors
from ddpm.networks.dit import FREQUENCIES
from ddpm.networks.plain_dit import positions
from ddpm.records.codec import StoredCodec
from ddpm.system.errors import InputError

FLAGS: dict[str, type] = {
    "vae": str,
    "model": str,
    "num_heads": int,
    "num_classes": int,
    "image_size": int,
    "cfg_scale": float,
    "num_sampling_steps": int,
}
"""The flags of their sample.py, with a folder for ``vae``, and the heads of a network of an unpublished size."""
FIRST, LABELS, PLACES = "x_embedder.proj.weight", "y_embedder.embedding_table.weight", "pos_embed"
"""The first layer, the vectors of the classes with the null class as the last, and the positions."""
BLOCK = {
    "modulation": "adaLN_modulation.1",
    "attention.qkv": "attn.qkv",
    "attention.out": "attn.proj",
    "linear1": "mlp.fc1",
    "linear2": "mlp.fc2",
}
"""The parts of a block, ours and theirs."""
SCALE, STEPS = 4.0, 250
"""The guidance and the number of steps of their sample.py."""
SAME = 1e-4
"""The largest difference of positions, which their code computes in float64."""
MODES: dict[int, Any] = {1: "L", 3: "RGB"}


def recognises(path: Path) -> bool:
    """Whether a file has the tensors of this transformer."""
    return holds_tensors(path) and {FIRST, LABELS, "t_embedder.mlp.0.weight"} <= read_tensors(path).keys()


def read_model(path: Path, flags: str | None) -> Imported:
    """Read a model, with its autoencoder from the folder that the flag ``--vae`` names.

    Raises:
        InputError: the file or a flag cannot be used, or they contradict each other.
    """
    given = parse_flags(flags, FLAGS)
    tensors = ForeignTensors(read_tensors(path), str(path))
    settings = read_settings(tensors, given)
    codec = _codec(path, settings, given)
    config = _config(path, tensors, settings, given, codec)
    _take_positions(tensors, settings, config)
    weights = read_fitting(config, table(settings), tensors)
    count = sum(weight.numel() for weight in weights.values())
    inferred = [f"labels are 0 … {len(config.data.classes) - 1}, as the last of the vectors is that of the null class"]
    if "num_heads" not in given:
        inferred.append(f"there are {settings.heads} heads, as published for this depth and width")
    if "cfg_scale" not in given:
        inferred.append(
            f"guidance is {SCALE:g} and applies to all channels; their sample.py guides only the first three"
        )
    if codec is not None:
        inferred.append(f"the autoencoder is that of {given['vae']}")
    return Imported(config, weights, (f"{settings.describe()}, {count:,} parameters",), tuple(inferred), codec)


def read_settings(tensors: ForeignTensors, given: Mapping[str, Any]) -> PlainDiTSettings:
    """The network of these tensors.

    Raises:
        InputError: there is none, a flag contradicts them, or their number of heads is unknown.
    """
    with inferring(tensors.source, PlainDiTSettings):
        width, channels, patch, _ = tensors.shape(FIRST)
        depth = len({name.split(".")[1] for name in tensors.names() if name.startswith("blocks.")})
        out = tensors.shape("final_layer.linear.bias")[0] // patch**2
        named = {f"DiT-{name}/{patch}": size.heads for name, size in SIZES.items() if size[:2] == (depth, width)}
        if given.get("model", next(iter(named), None)) not in (*named, None):
            raise InputError(
                "conflict",
                f"{tensors.source} has {depth} blocks of width {width}, unlike {given['model']}; leave out --model",
            )
        heads = given.get("num_heads", next(iter(named.values()), None))
        if heads is None:
            raise InputError(
                "missing",
                f'{tensors.source} does not have a published size; add its number of heads, --flags "--num_heads 6"',
            )
        return PlainDiTSettings(
            in_channels=channels,
            out_channels=out,
            depth=depth,
            width=width,
            heads=heads,
            patch=patch,
            cond_width=width,
            frequency_shift=0,
        )


def table(s: PlainDiTSettings) -> Iterator[Correspondence]:
    """The correspondence of all weights.

    Their embedding of time begins with the cosines, and their first layer is a convolution. Their output orders the
    numbers of a patch by pixel before channel.
    """
    shape = (s.width, s.in_channels, s.patch, s.patch)
    yield Correspondence(LABEL_TABLE, (LABELS,))
    yield cosines_first("net.time.linear1.weight", "t_embedder.mlp.0.weight", FREQUENCIES)
    yield Correspondence("net.time.linear1.bias", ("t_embedder.mlp.0.bias",))
    yield from layer("net.time.linear2", "t_embedder.mlp.2")
    yield Correspondence("net.embed.weight", (FIRST,), lambda p: p[0].flatten(1), lambda w: [w.reshape(shape)])
    yield Correspondence("net.embed.bias", ("x_embedder.proj.bias",))
    for i in range(s.depth):
        for ours, theirs in BLOCK.items():
            yield from layer(f"net.blocks.{i}.{ours}", f"blocks.{i}.{theirs}")
    yield from layer("net.modulation", "final_layer.adaLN_modulation.1")
    yield from channels_last("net.out", "final_layer.linear", s.patch**2, s.out_channels)


def _codec(path: Path, settings: PlainDiTSettings, given: Mapping[str, Any]) -> StoredCodec | None:
    """The autoencoder that the flag names; None for a model of pixels."""
    if "vae" not in given:
        if settings.in_channels in MODES:
            return None
        raise InputError(
            "missing",
            f"{path} models latents of {settings.in_channels} channels, but has no autoencoder; add the folder of one, "
            'such as sd-vae-ft-ema: --flags "--vae FOLDER"',
        )
    part = read_part(Path(given["vae"]))
    return read_autoencoder(part.config, part.tensors)


def _config(
    path: Path, tensors: ForeignTensors, s: PlainDiTSettings, given: Mapping[str, Any], stored: StoredCodec | None
) -> RunConfig:
    codec: CodecConfig = PixelCodecConfig() if stored is None else stored.settings
    with inferring(str(path), RunConfig):
        side = isqrt(tensors.shape(PLACES)[1]) * s.patch * codec.factor
        classes = tensors.shape(LABELS)[0] - 1
    if side != given.get("image_size", side):
        raise InputError(
            "conflict", f"the images of {path} have side {side}, not {given['image_size']}; leave out --image_size"
        )
    if classes != given.get("num_classes", classes):
        raise InputError(
            "conflict", f"{path} has {classes} classes, not {given['num_classes']}; leave out --num_classes"
        )
    learned = s.out_channels == 2 * s.in_channels
    steps = given.get("num_sampling_steps", STEPS)
    with inferring(str(path), RunConfig):
        mode = MODES[s.in_channels] if stored is None else stored.config.data.mode
        return RunConfig(
            recipe=IMPORTED,
            request={"import": str(path)},
            data=DataConfig.unknown((side, side), mode, tuple(map(str, range(classes)))),
            diffusion=DiffusionConfig(
                schedule="linear", T=1000, prediction="eps", variance="learned" if learned else "large"
            ),
            objective=ObjectiveConfig(loss=HybridLoss(name="hybrid") if learned else PlainLoss(name="simple")),
            network=s,
            codec=codec,
            training=TrainSettings(images=0, label_dropout=DROPOUT),
            sampling=SamplingConfig.of(
                solver="ancestral",
                steps=steps,
                grid="uniform",
                guidance=given.get("cfg_scale", SCALE),
                clip=False,
            ),
        )


def _take_positions(tensors: ForeignTensors, s: PlainDiTSettings, config: RunConfig) -> None:
    """Check that the stored positions are those that our network computes.

    Raises:
        InputError: they differ, as if they were trained.
    """
    side = config.shape[1] // s.patch
    expected = positions((side, side), s.width, torch.device("cpu"))
    stored = tensors.take(PLACES, (1, *expected.shape))[0]
    if not bool(((stored - expected).abs() <= SAME).all()):
        raise InputError(
            "incompatible",
            f"{tensors.source} has a {PLACES} that is not of sines and cosines; use a model without its own",
        )
