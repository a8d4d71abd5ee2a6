"""Conditioners, one per kind of condition: encode, null, drop, augment."""

from ddpm.conditioning.frozen_tokens import FrozenTokens
from ddpm.conditioning.label import LabelEmbedding
from ddpm.conditioning.low_resolution import BoxMeans, LowResolution
from ddpm.conditioning.masked_image import MaskedImage, masked_image
from ddpm.conditioning.number import NumberEmbedding
from ddpm.conditioning.text_features import TextFeatures
from ddpm.conditioning.words import WordTokens

__all__ = [
    "BoxMeans",
    "FrozenTokens",
    "LabelEmbedding",
    "LowResolution",
    "MaskedImage",
    "NumberEmbedding",
    "TextFeatures",
    "WordTokens",
    "masked_image",
]
