"""The mathematics: levels, schedules, Gaussian algebra, predictions, the denoiser."""

from ddpm.core.condition import Cond
from ddpm.core.continuous import Continuous
from ddpm.core.denoiser import Denoised, Denoiser, Network
from ddpm.core.discrete import Discrete
from ddpm.core.level import Level, Scalar, scale
from ddpm.core.parameterisation import Answer, NetworkDenoiser, Parameterisation
from ddpm.core.prediction import Prediction
from ddpm.core.schedule import Schedule
from ddpm.core.stream import Stream

__all__ = [
    "Answer",
    "Cond",
    "Continuous",
    "Denoised",
    "Denoiser",
    "Discrete",
    "Level",
    "Network",
    "NetworkDenoiser",
    "Parameterisation",
    "Prediction",
    "Scalar",
    "Schedule",
    "Stream",
    "scale",
]
