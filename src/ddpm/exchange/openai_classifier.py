"""The classifiers of noised images of OpenAI's guided-diffusion (Dhariwal & Nichol 2021)."""

import math
from collections.abc import Collection, Iterator
from pathlib import Path

from ddpm import build
from ddpm.config.classifier import ClassifierConfig
from ddpm.config.data import DataConfig
from ddpm.config.plain_classifier import PlainClassifierSettings
from ddpm.config.run import RunConfig
from ddpm.config.training import TrainSettings
from ddpm.exchange.correspondence import Correspondence, read
from ddpm.exchange.files import holds_tensors, read_tensors
from ddpm.exchange.fitted import inferring
from ddpm.exchange.flags import parse_flags
from ddpm.exchange.imported import Imported
from ddpm.exchange.openai_flags import attended, check_flags, listed
from ddpm.exchange.openai_unet import ENCODER, half_settings, table
from ddpm.exchange.tensors import ForeignTensors
from ddpm.records.run_folder import RunFolder, Weights
from ddpm.system.errors import InputError
from ddpm.system.meta import shapes_only

HEAD_WIDTH = 64
"""The channels of each attention head, which no flag of theirs changes."""
DEPTH = 2
"""The default of --classifier_depth."""
POOL, AVERAGE = "out.2.", "out.3.weight"
"""The tensors of the two kinds of pooling."""
FLAGS = {
    "image_size": int,
    "classifier_width": int,
    "classifier_depth": int,
    "classifier_attention_resolutions": str,
    "classifier_use_scale_shift_norm": bool,
    "classifier_resblock_updown": bool,
    "classifier_pool": str,
    "classifier_use_fp16": bool,
    "classifier_scale": float,
}
"""Their flags; the last two describe no tensor."""


def recognises(path: Path) -> bool:
    """Whether a file has the tensors of such a classifier: the first half of a U-Net alone."""
    if not holds_tensors(path):
        return False
    names = read_tensors(path).keys()
    return names >= ENCODER and not any(name.startswith("output_blocks.") for name in names)


def read_classifier(path: Path, flags: str | None, run: RunFolder) -> Imported:
    """Read the classifier of a run, whose forward process, size and mode it must have been trained for.

    Raises:
        InputError: the file or a flag cannot be used, or it does not fit the run.
    """
    given = parse_flags(flags, FLAGS)
    tensors = ForeignTensors(_separate(read_tensors(path)), str(path))
    own = run.config()
    settings = _settings(tensors, own, given.get("classifier_depth", DEPTH))
    u, (height, width) = settings.backbone, own.data.size
    found = {
        "image_size": height,
        "classifier_width": u.width,
        "classifier_depth": u.blocks[0],
        "classifier_attention_resolutions": listed(attended(u, height)),
        "classifier_use_scale_shift_norm": u.scale_shift,
        "classifier_resblock_updown": u.downsample[0] == "residual",
        "classifier_pool": "attention" if settings.pool == "attention" else "adaptive",
    }
    check_flags(str(path), u, found, given, height)
    classes = own.data.classes or tuple(map(str, range(settings.out_channels)))
    if len(classes) != settings.out_channels:
        raise InputError(
            "incompatible",
            f"{path} has {settings.out_channels} classes, but {run.path} {len(classes)}; use that run's classifier",
        )
    with inferring(str(path), ClassifierConfig):
        config = ClassifierConfig(
            request={"import": str(path)},
            data=DataConfig.unknown(own.data.size, own.data.mode, classes),
            diffusion=own.diffusion,
            network=settings,
            training=TrainSettings(images=0, label_dropout=0),
        )
    with shapes_only():
        empty = dict(build.build_classifier(config).state_dict())
    weights = read(_table(settings, empty.keys()), tensors, empty)
    tensors.finish()
    count = sum(weight.numel() for weight in weights.values())
    inferred = [
        f"the forward process and the size, {width}×{height}, are those of {run.path}",
        *(f"{name} is {value}" for name, value in found.items() if name != "image_size"),
        f"attention heads have {HEAD_WIDTH} channels",
        f"channel_mult is {listed(u.multipliers)}",
    ]
    return Imported(config, weights, (f"classifier, {settings.describe()}, {count:,} parameters",), tuple(inferred))


def _separate(tensors: Weights) -> Weights:
    """The tensors, with the projections of the pooling to queries, and to keys and values, apart as ours are."""
    found = dict(tensors)
    for part in ("weight", "bias"):
        if (both := found.pop(f"{POOL}qkv_proj.{part}", None)) is not None:
            channels = len(both) // 3
            found[f"{POOL}query.{part}"], found[f"{POOL}key_value.{part}"] = both[:channels], both[channels:]
    return found


def _settings(tensors: ForeignTensors, own: RunConfig, depth: int) -> PlainClassifierSettings:
    """The settings of the classifier of a run.

    Args:
        depth: the residual blocks per level, if no tensor shows where a level ends.
    """
    attention = f"{POOL}positional_embedding" in tensors
    if not attention and AVERAGE not in tensors:
        raise InputError(
            "incompatible",
            f"{tensors.source} pools the features of all levels; use a classifier with --classifier_pool attention or "
            "adaptive",
        )
    with inferring(tensors.source, PlainClassifierSettings):
        names = [name.split(".") for name in tensors.names() if name.startswith("input_blocks.")]
        blocks, steps = len({name[1] for name in names}), len({name[1] for name in names if name[3] == "op"})
        positions = tensors.shape(f"{POOL}positional_embedding")[1] - 1 if attention else None
        if steps:
            levels = steps + 1
        elif positions is not None:
            levels = 1 + round(math.log2(math.prod(own.data.size) / positions) / 2)
        else:
            levels = blocks // (depth + 1)
        if levels < 1 or blocks % levels or blocks // levels < 2:
            raise InputError(
                "incompatible",
                f"{tensors.source} has {blocks} blocks, which do not make whole levels for images of "
                f"{'×'.join(map(str, own.data.size))}; use that run's classifier, or correct --classifier_depth",
            )
        classes = tensors.shape(f"{POOL}c_proj.weight" if attention else AVERAGE)[0]
        backbone = half_settings(tensors, levels, blocks // levels - 1, classes, HEAD_WIDTH)
        if backbone.in_channels != len(own.data.mode):
            raise InputError(
                "incompatible",
                f"{tensors.source} classifies images of {backbone.in_channels} channels, but the run's are "
                f"{own.data.mode}; use the classifier of that run",
            )
        return PlainClassifierSettings(
            backbone=backbone,
            pool="attention" if attention else "average",
            positions=positions,
            pool_heads=max(1, backbone.channels[-1] // HEAD_WIDTH) if attention else 1,
        )


def _table(s: PlainClassifierSettings, ours: Collection[str]) -> Iterator[Correspondence]:
    """The correspondence of all weights."""
    yield from table(s.backbone, [name for name in ours if not name.startswith("net.pool.")], new_order=False)
    if s.pool == "average":
        yield _convolved("net.pool.out.weight", AVERAGE, 2)
        yield Correspondence("net.pool.out.bias", ("out.3.bias",))
        return
    yield Correspondence(
        "net.pool.positions", (f"{POOL}positional_embedding",), lambda p: p[0].T, lambda tensor: [tensor.T]
    )
    for name, theirs in (("query", "query"), ("key_value", "key_value"), ("out", "c_proj")):
        yield _convolved(f"net.pool.{name}.weight", f"{POOL}{theirs}.weight", 1)
        yield Correspondence(f"net.pool.{name}.bias", (f"{POOL}{theirs}.bias",))


def _convolved(ours: str, theirs: str, axes: int) -> Correspondence:
    """A linear layer that is a convolution of kernel 1 in their network."""
    return Correspondence(ours, (theirs,), lambda p: p[0].flatten(1), lambda tensor: [tensor[(..., *[None] * axes)]])
