"""Wrappers Denoiser -> Denoiser that steer a sample."""

from ddpm.guidance.classifier_free import ClassifierFree
from ddpm.guidance.clipping import Clipped

__all__ = ["ClassifierFree", "Clipped"]
