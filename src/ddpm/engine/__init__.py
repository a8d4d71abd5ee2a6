"""The engine, which does all sampling."""

from ddpm.engine.diffusion import Diffusion
from ddpm.engine.guides import Guides
from ddpm.engine.task import PLAIN, Task, Tasks

__all__ = ["PLAIN", "Diffusion", "Guides", "Task", "Tasks"]
