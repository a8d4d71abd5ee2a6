"""The typed tree of one run: all that is needed to build it again."""

from ddpm.config.classifier import ClassifierConfig
from ddpm.config.data import DataConfig
from ddpm.config.diffusion import DiffusionConfig, PredictionName, ScheduleName, VarianceName
from ddpm.config.grid import GridName
from ddpm.config.objective import LevelSamplingName, LossName, ObjectiveConfig, WeightingName
from ddpm.config.run import RunConfig
from ddpm.config.sampling import OF_GUIDANCE, OF_SOLVER, Guide, SamplingConfig, SolverName
from ddpm.config.strict import Strict, explain, suggest
from ddpm.config.upscaling import UpscalingConfig

__all__ = [
    "OF_GUIDANCE",
    "OF_SOLVER",
    "ClassifierConfig",
    "DataConfig",
    "DiffusionConfig",
    "GridName",
    "Guide",
    "LevelSamplingName",
    "LossName",
    "ObjectiveConfig",
    "PredictionName",
    "RunConfig",
    "SamplingConfig",
    "ScheduleName",
    "SolverName",
    "Strict",
    "UpscalingConfig",
    "VarianceName",
    "WeightingName",
    "explain",
    "suggest",
]
