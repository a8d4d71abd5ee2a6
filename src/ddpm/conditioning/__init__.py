"""Conditioners, one per kind of condition: encode, null, drop, augment."""

from ddpm.conditioning.label import LabelEmbedding
from ddpm.conditioning.low_resolution import BoxMeans, LowResolution
from ddpm.conditioning.number import NumberEmbedding

__all__ = ["BoxMeans", "LabelEmbedding", "LowResolution", "NumberEmbedding"]
