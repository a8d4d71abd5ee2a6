"""Held-out losses and previews that cost little: of most runs no test reads more from them than that they are there."""

from collections.abc import Callable
from functools import partial

from ddpm.engine import preview
from ddpm.training import observer
from ddpm.training.heldout import HeldOut


def shorten(patch: Callable[[object, str, object], object]) -> None:
    """Measure the loss of 8 held-out images instead of 128, and draw previews in 2 steps instead of 16."""
    patch(observer, "HeldOut", partial(HeldOut, limit=8))
    patch(preview, "STEPS", 2)
