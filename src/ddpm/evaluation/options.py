"""What all evaluations can be asked for."""

from dataclasses import dataclass

from ddpm.system.names import Fit


@dataclass(frozen=True)
class EvaluationOptions:
    """Which real images to measure against, and how many images to measure.

    Attributes:
        data: the real images; None takes the run's own, those that it was trained on or held out.
        n: images to measure; the function's default if None. Of a folder, all are measured.
        seed: of the noise of image i, together with i.
        batch: images in memory at a time; the most that are allowed if None.
        fit: for images of ``data`` of another shape.
        skip_bad: go on without images that cannot be read.
        device: cpu, cuda, mps; None takes the best there is.
    """

    data: str | None = None
    n: int | None = None
    seed: int = 0
    batch: int | None = None
    fit: Fit = "crop"
    skip_bad: bool = False
    device: str | None = None
