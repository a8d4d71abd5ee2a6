"""Training objectives: functions of a network, images, noise and levels."""

from ddpm.objectives.simple import SimpleLoss

__all__ = ["SimpleLoss"]
