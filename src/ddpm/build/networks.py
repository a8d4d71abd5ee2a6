"""From names to all that has weights, and to codecs."""

from collections.abc import Callable
from typing import Any

import torch

from ddpm.codec import PixelCodec
from ddpm.conditioning import BoxMeans, LabelEmbedding, LowResolution
from ddpm.config.classifier import ClassifierConfig
from ddpm.config.run import RunConfig
from ddpm.core.model import Model
from ddpm.images.pixels import Pixels
from ddpm.metrics.features.embedded import Embedded
from ddpm.metrics.features.extractor import Extractor
from ddpm.metrics.features.inception import Inception
from ddpm.metrics.features.vision import clip, dinov2
from ddpm.networks import NoisedClassifier, UNet
from ddpm.networks.embeddings import TimeEmbedding
from ddpm.system.errors import InputError
from ddpm.system.names import suggest

NETWORKS: dict[str, Callable[[Any], torch.nn.Module]] = {"unet": UNet}
CODECS: dict[str, Callable[[], PixelCodec]] = {"pixel": PixelCodec}
FEATURES: dict[str, Callable[[str | None, torch.device], Extractor]] = {
    "inception": Inception.load,
    "dinov2": dinov2,
    "clip": clip,
}
"""Published networks, by their weights and device; "embedded" needs neither file nor name."""


def build_codec(config: RunConfig) -> PixelCodec:
    """Between 8-bit images and what is diffused."""
    return CODECS[config.codec.kind]()


def build_derived(config: RunConfig) -> dict[str, Callable[[Pixels], Pixels]]:
    """What is made of each image of a run for its conditions, by kind, where that is not given."""
    if config.upscaling is None or config.upscaling.low is not None:
        return {}
    return {"low_resolution": BoxMeans(build_codec(config), config.upscaling.scale)}


def build_model(config: RunConfig) -> Model:
    """The run's network and its conditioners, with fresh weights from torch's global generator."""
    classes, width = len(config.data.classes), config.network.cond_width
    label = {"label": LabelEmbedding(classes, width)} if classes and width is not None else {}
    net, low = NETWORKS[config.network.kind](config.network), {}
    if config.upscaling is not None and width is not None:
        strength, u = TimeEmbedding(config.network.width, width), config.upscaling
        low = {"low_resolution": LowResolution(strength, build_codec(config), u.scale, u.s_max)}
    return Model(net, {**label, **low})


def build_classifier(config: ClassifierConfig) -> Model:
    """A classifier of noised images, with fresh weights."""
    return Model(NoisedClassifier(config.network))


def build_features(name: str, weights: str | None, size: tuple[int, int], device: torch.device) -> Extractor:
    """A network that looks at images of (H, W).

    Raises:
        InputError: an unknown name, or weights that cannot be had.
    """
    if name == "embedded":
        if weights is not None:
            raise InputError(f"the embedded features have their own weights; give {weights} to another --features")
        return Embedded(size, device)
    if name not in FEATURES:
        raise InputError(f"unknown features {name!r}{suggest(name, ['embedded', *FEATURES])}")
    return FEATURES[name](weights, device)
