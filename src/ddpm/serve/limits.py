"""Limits on a single request."""

from collections.abc import Sequence

from PIL import Image

from ddpm.config.sampling import SamplingConfig
from ddpm.engine.run import LoadedRun
from ddpm.serve.orders import MOST_STEPS, Order
from ddpm.system.errors import InputError
from ddpm.tasks.observed import Repaint

MOST_PIXELS, MOST_PIXELS_IN_ALL = 1 << 22, 1 << 24
"""The pixels of a picture, given or drawn, and of all pictures of a request."""
MOST_CALLS = 10_000
"""The network calls of each picture: solvers make up to 3 a step, but the adaptive one up to 301."""


def check(run: LoadedRun, how: SamplingConfig, order: Order, given: Sequence[Image.Image]) -> None:
    """Refuse an order that would take too much memory or time, however it is written.

    Args:
        how: the settings that it resolves to.

    Raises:
        InputError: too many steps or pixels.
    """
    options = order.options
    times = 1 if options.repaint is None else Repaint.parse(options.repaint).times
    if how.steps * times > MOST_STEPS:
        raise InputError("invalid", f"the request takes {how.steps * times:,} steps; use at most {MOST_STEPS:,}")
    if (calls := run.engine.solver(how).evaluations(run.engine.grid(how)) * times) > MOST_CALLS:
        raise InputError(
            "invalid",
            f"with {how.solver.name}, the request may call the network {calls:,} times, and at most {MOST_CALLS:,} are "
            "allowed; use fewer steps",
        )
    height, width = run.config.data.size if how.area is None else how.area.size
    if given and options.fit is None:
        height, width = max(image.height for image in given), max(image.width for image in given)
    height += (options.top or 0) + (options.bottom or 0)
    width += (options.left or 0) + (options.right or 0)
    factor = 1 if order.task != "upscale" or run.config.upscaling is None else run.config.upscaling.scale
    pixels = height * width * factor**2
    for count, most in ((pixels, MOST_PIXELS), (order.n * pixels, MOST_PIXELS_IN_ALL)):
        if count > most:
            raise InputError("invalid", f"the request has {count:,} pixels; use at most {most:,}")
