"""Clipping of the expected image to the pixel range."""

from typing import Annotated, Literal

from pydantic import Field

from ddpm.config.options import Flag
from ddpm.system.record import Strict, bounds
from ddpm.system.tree import Short


class FixedClip(Strict):
    """Clipping to the pixel range, or none."""

    kind: Literal["range", "none"]


class DynamicClip(Strict):
    """Dynamic thresholding (Saharia et al. 2022, sec. 2.3).

    Attributes:
        quantile: The quantile of each image's absolute values that is scaled to the end of the range.
    """

    kind: Literal["dynamic"]
    quantile: Annotated[
        float,
        bounds(0, 1, above=True),
        Flag(
            "Clip by dynamic thresholding at this quantile of each image, such as 0.995; for high guidance scales.",
            name="threshold",
        ),
    ]


ClipConfig = Annotated[
    FixedClip | DynamicClip,
    Field(discriminator="kind"),
    Short("kind"),
    Flag("Clip the expected image to the pixel range.", kind=bool, switch=("range", "none")),
]
