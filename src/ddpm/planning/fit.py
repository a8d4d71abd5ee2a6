"""What a network must have for the images that it is trained on."""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from ddpm.config.codec import CodecConfig, PixelCodecConfig
from ddpm.config.conditions import kinds
from ddpm.config.network import conditioned
from ddpm.config.run import channels_of
from ddpm.planning.recipes import Tree


def fitted(whole: Tree) -> dict[str, Any]:
    """The network's part of a run's settings, with the channels and the condition's vector that the rest asks for."""
    try:
        codec: CodecConfig = TypeAdapter(CodecConfig).validate_python(whole.get("codec", {}))
    except ValidationError:  # which the whole is refused for
        codec = PixelCodecConfig()
    learned = whole["diffusion"].get("variance") == "learned"
    seen, answered = channels_of(codec, whole["data"]["mode"], upscaling="upscaling" in whole, learned=learned)
    net = {"in_channels": seen, "out_channels": answered, **whole["network"]}
    return conditioned(net) if kinds(whole) else net
