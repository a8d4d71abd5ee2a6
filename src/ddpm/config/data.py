"""The data that a run was trained on."""

from typing import Annotated, Self

from pydantic import AfterValidator, model_validator

from ddpm.system.limits import LARGEST_SIDE, MOST_PIXELS
from ddpm.system.names import Fit, Mode
from ddpm.system.record import Strict, at_most, bounds, finite


class DataConfig(Strict):
    """The source of the images and how they were prepared.

    Attributes:
        source: The source as given: a path, or "digits".
        fingerprint: The hash of the prepared images and labels.
        images: The number of training images.
        held_out: The number of held-out images.
        size: (H, W).
        classes: The class names, in the order of the labels; empty for a model without labels.
        split: The folder to train on, of train, val and test; None for train where there are such folders.
        max_pixels: The largest number of pixels of an image to decode; None for the default.
        streamed: Whether the images are decoded as they are read, because the disk has no room for all of them decoded.
        mean, std: The statistics of each channel, in units of [-1, 1].
    """

    source: str
    fingerprint: str
    images: Annotated[int, bounds(0)]
    held_out: Annotated[int, bounds(0)]
    size: Annotated[tuple[Annotated[int, bounds(1)], Annotated[int, bounds(1)]], at_most(LARGEST_SIDE)]
    mode: Mode
    fit: Fit = "crop"
    skip_bad: bool = False
    split: str | None = None
    max_pixels: int | None = None
    streamed: bool = False
    classes: tuple[str, ...] = ()
    mean: Annotated[tuple[float, ...], AfterValidator(finite)] = ()
    std: Annotated[tuple[float, ...], AfterValidator(finite)] = ()

    @model_validator(mode="after")
    def _can_be_stored(self) -> Self:
        height, width = self.size
        if height * width > MOST_PIXELS:
            raise ValueError(f"size is {height} × {width}, more than {MOST_PIXELS:,} pixels; use a smaller one")
        return self

    @classmethod
    def unknown(cls, size: tuple[int, int], mode: Mode, classes: tuple[str, ...] = ()) -> Self:
        """The data of a model that another program trained on images of (H, W), which are not at hand."""
        return cls(source="", fingerprint="", images=0, held_out=0, size=size, mode=mode, classes=classes)
