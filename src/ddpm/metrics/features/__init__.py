"""Feature extractors behind one interface."""

from ddpm.metrics.features.extractor import Extractor

__all__ = ["Extractor"]
