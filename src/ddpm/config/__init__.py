"""The typed tree of one run: all that is needed to build it again."""

from ddpm.config.classifier import ClassifierConfig
from ddpm.config.data import DataConfig
from ddpm.config.diffusion import DiffusionConfig
from ddpm.config.objective import ObjectiveConfig
from ddpm.config.run import RunConfig
from ddpm.config.sampling import OF_GUIDANCE, OF_SOLVER, Guide, SamplingConfig
from ddpm.config.upscaling import UpscalingConfig
from ddpm.system.record import Strict, explain

__all__ = [
    "OF_GUIDANCE",
    "OF_SOLVER",
    "ClassifierConfig",
    "DataConfig",
    "DiffusionConfig",
    "Guide",
    "ObjectiveConfig",
    "RunConfig",
    "SamplingConfig",
    "Strict",
    "UpscalingConfig",
    "explain",
]
