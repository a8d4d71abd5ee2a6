"""The engine: the one place that draws."""

from ddpm.engine.diffusion import Diffusion, Guides
from ddpm.engine.task import PLAIN, Task, Tasks

__all__ = ["PLAIN", "Diffusion", "Guides", "Task", "Tasks"]
