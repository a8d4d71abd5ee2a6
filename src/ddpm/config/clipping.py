"""How the expected image is kept in the range of images."""

from typing import Annotated, Literal

from pydantic import Field

from ddpm.config.options import Flag
from ddpm.system.record import Strict, bounds
from ddpm.system.tree import Short


class FixedClip(Strict):
    """To the range, or not at all."""

    kind: Literal["range", "none"]


class DynamicClip(Strict):
    """Dynamic thresholding (Saharia et al. 2022, sec. 2.3).

    Attributes:
        quantile: of each image's absolute values, which is brought to the end of the range.
    """

    kind: Literal["dynamic"]
    quantile: Annotated[
        float,
        bounds(0, 1, above=True),
        Flag(
            "Clip by dynamic thresholding, at this quantile of each image, as in 0.995; for high guidance.",
            name="threshold",
        ),
    ]


ClipConfig = Annotated[
    FixedClip | DynamicClip,
    Field(discriminator="kind"),
    Short("kind"),
    Flag("Keep the expected image in the range of images.", kind=bool, switch=("range", "none")),
]
