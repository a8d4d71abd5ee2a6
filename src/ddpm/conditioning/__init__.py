"""What a sample is asked to be, made into a condition: encode, null, drop."""

from ddpm.conditioning.label import LabelEmbedding

__all__ = ["LabelEmbedding"]
