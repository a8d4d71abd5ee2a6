"""What a run was trained on."""

from ddpm.system.names import Fit, Mode
from ddpm.system.record import Strict


class DataConfig(Strict):
    """Where the images came from and what was made of them.

    Attributes:
        source: as it was given: a path, or "digits".
        fingerprint: hash of the prepared images and labels.
        images: how many are trained on.
        held_out: how many are not.
        size: (H, W).
        classes: names, in the order of the labels; empty for a model without labels.
        mean, std: of each channel, in units of [-1, 1].
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
