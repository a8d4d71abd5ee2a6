"""What a sample is asked to be, made into a condition: encode, null, drop."""

from ddpm.conditioning.image import ImageCondition
from ddpm.conditioning.label import LabelEmbedding
from ddpm.conditioning.pairs import Pairs

__all__ = ["ImageCondition", "LabelEmbedding", "Pairs"]
