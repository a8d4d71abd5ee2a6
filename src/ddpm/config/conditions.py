"""The kinds of conditions that a run learns."""

from typing import Any

from ddpm.system.tree import at

GIVEN_BY = {"label": ("data", "classes"), "low_resolution": ("upscaling",)}
"""Kind of condition -> the path in a run's settings that is set if the run learns it."""


def kinds(settings: Any) -> tuple[str, ...]:
    """The kinds of conditions of a run's settings, or of their tree, in the order of ``GIVEN_BY``."""
    return tuple(kind for kind, path in GIVEN_BY.items() if at(settings, path))
