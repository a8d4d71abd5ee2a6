"""Build networks, conditioners, feature extractors and codecs by name."""

from collections.abc import Callable
from functools import partial
from typing import Any

import psutil
import torch

from ddpm.build.text import build_caption_conditioner
from ddpm.codec import AutoencoderCodec, Codec, PixelCodec, TrainedAutoencoder
from ddpm.conditioning import BoxMeans, LabelEmbedding, LowResolution, MaskedImage, NumberEmbedding
from ddpm.conditioning.low_resolution import Interpolation, enlarge, enlarge_linearly
from ddpm.config.autoencoder import AutoencoderConfig
from ddpm.config.classifier import ClassifierConfig
from ddpm.config.run import RunConfig
from ddpm.core.model import Model
from ddpm.data.dataset import Derive
from ddpm.metrics.features import Extractor
from ddpm.metrics.features.averages import Averages
from ddpm.metrics.features.embedded import Embedded
from ddpm.metrics.features.inception import Inception
from ddpm.metrics.features.vision import clip, dinov2
from ddpm.networks import (
    Autoencoder,
    DiT,
    LucidrainsUNet,
    NoisedClassifier,
    PatchDiscriminator,
    PlainClassifier,
    PlainDiT,
    PlainUNet,
    TinyAutoencoder,
    UNet,
)
from ddpm.networks.blocks import zero
from ddpm.networks.embeddings import TimeEmbedding
from ddpm.system.errors import InputError
from ddpm.system.meta import shapes_only
from ddpm.system.names import suggest
from ddpm.system.units import say_bytes

NETWORKS: dict[str, Callable[[Any], torch.nn.Module]] = {
    "unet": UNet,
    "dit": DiT,
    "plain-dit": PlainDiT,
    "plain-unet": PlainUNet,
    "lucidrains-unet": LucidrainsUNet,
}
CLASSIFIERS: dict[str, Callable[[Any], torch.nn.Module]] = {
    "unet": NoisedClassifier,
    "plain-classifier": PlainClassifier,
}
AUTOENCODERS: dict[str, Callable[[Any], torch.nn.Module]] = {
    "ldm": Autoencoder,
    "tiny": TinyAutoencoder,
}
CODECS: dict[str, Callable[[Any, Callable[[], TrainedAutoencoder]], Codec]] = {
    "pixel": lambda config, trained: PixelCodec(),
    "autoencoder": lambda config, trained: AutoencoderCodec(trained(), config.factor),
}
"""Codecs by name, built from their settings and a function that loads the trained autoencoder."""
OWN_FEATURES: dict[str, Callable[[tuple[int, int], torch.device], Extractor]] = {
    "embedded": Embedded,
    Averages.name: lambda size, device: Averages(),
}
"""Feature extractors by name that need no weights, built from the images' size and a device."""
FEATURES: dict[str, Callable[[str | None, torch.device], Extractor]] = {
    "inception": Inception.load,
    "dinov2": dinov2,
    "clip": clip,
}
"""Other feature extractors by name, built from weights and a device."""


def build_codec(config: RunConfig, trained: Callable[[], TrainedAutoencoder] | None = None) -> Codec:
    """The codec of a run.

    Args:
        trained: Loads the autoencoder, for a codec that is one.
    """
    return CODECS[config.codec.kind](config.codec, trained or _untrained)


def _untrained() -> TrainedAutoencoder:
    raise ValueError("the codec is an autoencoder, which must be loaded; see engine.codec.open_codec")


def build_derived(config: RunConfig) -> dict[str, Derive]:
    """The functions, by kind, that derive conditions from the images of a run."""
    made = {kind: DERIVED[kind](config) for kind in config.conditions if kind in DERIVED}
    return {kind: derive for kind, derive in made.items() if derive is not None}


Check = Callable[[Model], None]
"""Raises an error for a model that cannot be used, which it sees without memory for weights, on the device "meta"."""


def build_model(config: RunConfig, check: Check | None = None) -> Model:
    """The run's network and its conditioners, with fresh weights from torch's global generator.

    Raises:
        InputError: its weights would not fit in memory, or what ``check`` raises before there is any memory for them.
    """
    return _affordable(partial(_model, config), check)


def _affordable(make: Callable[[], Model], check: Check | None) -> Model:
    try:
        with shapes_only():
            model = make()
            needed = sum(tensor.nbytes for tensor in model.state_dict().values())
    except RuntimeError as error:  # sizes that do not even have 63 bits
        raise InputError("memory", f"the network is too large for any memory ({error}); use a smaller one") from error
    if check is not None:
        check(model)
    if needed > (memory := psutil.virtual_memory().total):
        raise InputError(
            "memory",
            f"the network's weights need {say_bytes(needed)}, more than the {say_bytes(memory)} of memory of this "
            "machine; use a smaller network",
        )
    return make()


def _model(config: RunConfig) -> Model:
    early = {kind: CONDITIONERS[kind](config) for kind in config.conditions if kind in BEFORE}
    net = NETWORKS[config.network.kind](config.network)
    late = {kind: CONDITIONERS[kind](config) for kind in config.conditions if kind not in BEFORE}
    return Model(net, {**early, **late})


def _label(config: RunConfig) -> LabelEmbedding:
    return LabelEmbedding(len(config.data.classes), _width(config))


def _caption(config: RunConfig) -> torch.nn.Module:
    assert config.network.token_width is not None, "a run with captions has a token_width"
    return build_caption_conditioner(config, config.network.token_width)


def _low_resolution(config: RunConfig) -> LowResolution:
    assert config.upscaling is not None
    width, u = _width(config), config.upscaling
    interpolate = INTERPOLATIONS[u.interpolation]
    return LowResolution(TimeEmbedding(width, width), build_codec(config), u.scale, u.s_max, interpolate)


def _box_means(config: RunConfig) -> BoxMeans | None:
    u = config.upscaling
    return None if u is None or u.low is not None else BoxMeans(build_codec(config), u.scale)


def _steps(config: RunConfig) -> NumberEmbedding:
    least, *_, most = map(len, config.paths)
    return _number(config, least, most)


def _guidance(config: RunConfig) -> NumberEmbedding:
    assert config.distillation is not None
    assert config.distillation.guidance is not None
    return _number(config, *config.distillation.guidance, GAIN)


def _number(config: RunConfig, low: float, high: float, gain: float = 1.0) -> NumberEmbedding:
    """An embedding that is zero at first, so that a student starts as its teacher."""
    made = TimeEmbedding(_width(config), _width(config))
    zero(made.linear2)
    return NumberEmbedding(made, low, high, gain)


def _width(config: RunConfig) -> int:
    """D of the condition's vector."""
    assert config.network.cond_width is not None, "a run with conditions has a cond_width"
    return config.network.cond_width


INTERPOLATIONS: dict[str, Interpolation] = {
    "bicubic": enlarge,
    "bilinear": enlarge_linearly,
}
CONDITIONERS: dict[str, Callable[[RunConfig], torch.nn.Module]] = {
    "label": _label,
    "caption": _caption,
    "low_resolution": _low_resolution,
    "masked_image": lambda config: MaskedImage(len(config.data.mode)),
    "steps": _steps,
    "guidance": _guidance,
}
DERIVED: dict[str, Callable[[RunConfig], Derive | None]] = {
    "low_resolution": _box_means,
}
GAIN = 16.0
"""The gain of the embedding of a guidance scale, whose gradual effect a gain of 1 hardly learned."""
BEFORE = {"label"}
"""Conditioners initialised before the network: the order determines the weights of a seed."""


def build_classifier(config: ClassifierConfig, check: Check | None = None) -> Model:
    """A classifier of noised images, with fresh weights; see :func:`build_model`."""
    return _affordable(lambda: Model(CLASSIFIERS[config.network.kind](config.network)), check)


def build_autoencoder_model(config: AutoencoderConfig, check: Check | None = None) -> Model:
    """An autoencoder with fresh weights, and its discriminator if trained against one; see :func:`build_model`."""
    return _affordable(partial(_autoencoder, config), check)


def _autoencoder(config: AutoencoderConfig) -> Model:
    net, how = AUTOENCODERS[config.network.kind](config.network), config.objective.adversarial
    discriminator = None if how is None else PatchDiscriminator(config.network.image_channels, how.width, how.layers)
    return Model(net, auxiliary=discriminator)


def build_features(name: str, weights: str | None, size: tuple[int, int], device: torch.device) -> Extractor:
    """A feature extractor for images of (H, W).

    Raises:
        InputError: if the name is unknown, or the weights cannot be loaded.
    """
    if name in OWN_FEATURES:
        if weights is not None:
            raise InputError("conflict", f"--features {name} takes no weights; drop --weights, or use other --features")
        return OWN_FEATURES[name](size, device)
    if name not in FEATURES:
        raise InputError("unknown", f"unknown features {name!r}{suggest(name, [*OWN_FEATURES, *FEATURES])}")
    return FEATURES[name](weights, device)
