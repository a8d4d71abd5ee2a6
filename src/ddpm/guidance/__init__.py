"""Wrappers Denoiser -> Denoiser that steer a sample."""

from ddpm.guidance.classifier_free import ClassifierFree
from ddpm.guidance.clipping import Clipped
from ddpm.guidance.interval import Interval

__all__ = ["ClassifierFree", "Clipped", "Interval"]
