"""Options that all evaluations share."""

from dataclasses import dataclass

from ddpm.system.names import Fit


@dataclass(frozen=True)
class EvaluationOptions:
    """Which real images to measure against, and how many images to measure.

    Attributes:
        data: the real images; None takes the run's own, those that it was trained on or held out.
        n: the number of images to measure; the function's default if None. A folder is measured whole.
        seed: the seed that, with i, determines the noise of image i.
        batch: the number of images in memory at a time; the most allowed if None.
        fit: how to fit images of ``data`` of another shape.
        skip_bad: whether to skip images that cannot be read.
        device: cpu, cuda or mps; None takes the best available.
    """

    data: str | None = None
    n: int | None = None
    seed: int = 0
    batch: int | None = None
    fit: Fit = "crop"
    skip_bad: bool = False
    device: str | None = None
