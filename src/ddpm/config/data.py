"""The data that a run was trained on."""

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
    classes: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
