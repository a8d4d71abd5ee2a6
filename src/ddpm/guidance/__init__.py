"""Wrappers Denoiser -> Denoiser that steer a sample, and the rules by which guidance does."""

from ddpm.guidance.autoguidance import Autoguidance, ByItself
from ddpm.guidance.classifier import ClassGradient, ClassifierGuided
from ddpm.guidance.classifier_free import ClassifierFree
from ddpm.guidance.classifier_free_stages import ClassifierFreeStages
from ddpm.guidance.clipping import Clipped
from ddpm.guidance.interval import GuidanceInterval, Within
from ddpm.guidance.projected import Projected
from ddpm.guidance.rescaled import Rescaled
from ddpm.guidance.rule import Rule, extrapolate
from ddpm.guidance.thresholding import Thresholded

__all__ = [
    "Autoguidance",
    "ByItself",
    "ClassGradient",
    "ClassifierFree",
    "ClassifierFreeStages",
    "ClassifierGuided",
    "Clipped",
    "GuidanceInterval",
    "Projected",
    "Rescaled",
    "Rule",
    "Thresholded",
    "Within",
    "extrapolate",
]
