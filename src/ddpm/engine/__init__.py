"""The engine, which does all sampling."""

from ddpm.engine.diffusion import Diffusion, Guides
from ddpm.engine.task import PLAIN, Task, Tasks

__all__ = ["PLAIN", "Diffusion", "Guides", "Task", "Tasks"]
