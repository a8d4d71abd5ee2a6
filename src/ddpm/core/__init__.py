"""The mathematics: levels, schedules, Gaussian algebra, predictions, the denoiser."""

from ddpm.core.condition import Cond
from ddpm.core.denoiser import Denoised, Denoiser, Network, NetworkDenoiser
from ddpm.core.level import Level, Scalar, scale
from ddpm.core.prediction import Prediction
from ddpm.core.schedule import Schedule

__all__ = [
    "Cond",
    "Denoised",
    "Denoiser",
    "Level",
    "Network",
    "NetworkDenoiser",
    "Prediction",
    "Scalar",
    "Schedule",
    "scale",
]
