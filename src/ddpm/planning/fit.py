"""Network settings that follow from the rest of the config."""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from ddpm.config.codec import CodecConfig, PixelCodecConfig
from ddpm.config.conditions import kinds
from ddpm.config.network import conditioned
from ddpm.config.run import channels_of
from ddpm.planning.recipes import Tree


def fitted(whole: Tree) -> dict[str, Any]:
    """The network settings of a run, with the channels and the conditioning vector that the rest requires."""
    try:
        codec: CodecConfig = TypeAdapter(CodecConfig).validate_python(whole.get("codec", {}))
    except ValidationError:  # reported when the whole config is parsed
        codec = PixelCodecConfig()
    learned = whole["diffusion"].get("variance") == "learned"
    seen, answered = channels_of(codec, whole["data"]["mode"], upscaling="upscaling" in whole, learned=learned)
    net = {"in_channels": seen, "out_channels": answered, **whole["network"]}
    return conditioned(net) if kinds(whole) else net
