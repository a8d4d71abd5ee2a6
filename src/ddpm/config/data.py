"""The data that a run was trained on."""

from typing import Self

from ddpm.system.names import Fit, Mode
from ddpm.system.record import Strict


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
        mean, std: The statistics of each channel, in units of [-1, 1].
    """

    source: str
    fingerprint: str
    images: int
    held_out: int
    size: tuple[int, int]
    mode: Mode
    fit: Fit = "crop"
    skip_bad: bool = False
    split: str | None = None
    max_pixels: int | None = None
    classes: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @classmethod
    def unknown(cls, size: tuple[int, int], mode: Mode, classes: tuple[str, ...] = ()) -> Self:
        """The data of a model that another program trained on images of (H, W), which are not at hand."""
        return cls(source="", fingerprint="", images=0, held_out=0, size=size, mode=mode, classes=classes)
