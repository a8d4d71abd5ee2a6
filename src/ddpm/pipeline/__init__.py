"""A trained run, ready to draw samples."""

from ddpm.pipeline.labels import Label
from ddpm.pipeline.loading import load
from ddpm.pipeline.pipeline import Pipeline
from ddpm.pipeline.trajectory import Stage, Trajectory

__all__ = ["Label", "Pipeline", "Stage", "Trajectory", "load"]
