"""What a sample is conditioned on, one conditioner a kind: encode, null, drop, augment."""

from ddpm.conditioning.label import LabelEmbedding
from ddpm.conditioning.low_resolution import BoxMeans, LowResolution

__all__ = ["BoxMeans", "LabelEmbedding", "LowResolution"]
