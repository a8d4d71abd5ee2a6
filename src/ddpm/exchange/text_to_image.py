"""A network, an autoencoder and a text encoder as one run (Rombach et al. 2022)."""

from collections.abc import Mapping
from typing import Any

from ddpm.config.plain_unet import PlainUNetSettings
from ddpm.config.run import IMPORTED, RunConfig
from ddpm.exchange.imported import DROPOUT, Imported
from ddpm.exchange.text import StoredText
from ddpm.records.codec import StoredCodec
from ddpm.records.run_folder import Weights
from ddpm.system.errors import InputError

GUIDANCE = 7.5
"""The default guidance scale of Stable Diffusion."""
NULL_TOKENS = "conditioners.caption.null_tokens"


def text_to_image(
    network: PlainUNetSettings,
    weights: Weights,
    codec: StoredCodec,
    text: StoredText,
    process: Mapping[str, Any],
    *,
    size: tuple[int, int],
    source: str,
    read: tuple[str, ...],
    inferred: tuple[str, ...],
) -> Imported:
    """The run of these parts.

    Args:
        weights: of the network, "net.…".
        process: the trees "diffusion" and "sampling" of the run's settings.
        size: (H, W) of the latents.
        source: its name in errors.

    Raises:
        InputError: the parts do not fit together.
    """
    if network.token_width != text.config.width:
        raise InputError(
            "incompatible",
            f"{source}: the network attends to tokens of width {network.token_width}, and the text encoder gives "
            f"{text.config.width}; use the one that it was trained with",
        )
    height, width = (n * codec.config.network.factor for n in size)
    data = codec.config.data
    config = RunConfig.parse(
        {
            "recipe": IMPORTED,
            "request": {"import": source},
            "data": data.model_copy(update={"size": (height, width)}).model_dump(),
            "diffusion": process["diffusion"],
            "network": network.model_dump(),
            "codec": codec.settings.model_dump(),
            "training": {"images": 0, "label_dropout": DROPOUT},
            "sampling": {"guidance": GUIDANCE, **process["sampling"], "clip": "none"},
            "text": text.config.model_dump(),
            "inpainting": network.in_channels == 2 * codec.config.network.channels + 1,
        },
        source,
    )
    weights = {**weights, NULL_TOKENS: text.null_tokens}
    return Imported(config, weights, read, inferred, codec, files=text.files)
