"""Training objectives: functions of a network, images, noise and levels."""

from ddpm.objectives.loss import Loss
from ddpm.objectives.simple import SimpleLoss
from ddpm.objectives.variational import Hybrid, Variational

__all__ = ["Hybrid", "Loss", "SimpleLoss", "Variational"]
