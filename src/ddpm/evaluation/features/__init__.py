"""Networks that look at images, behind one interface."""

from ddpm.evaluation.features.extractor import Extractor

__all__ = ["Extractor"]
