"""What was found: bits per dimension of many images, and everything they are a function of."""

from typing import ClassVar

from ddpm.config.likelihood import Likelihood
from ddpm.records.score import ReferenceRecord
from ddpm.system.record import Record, Strict

FILE = "bits.json"


class Levels(Strict):
    """Where the bound's bits come from, noisiest first: one entry a term, the decoder's last.

    Attributes:
        timestep: of the term's noisier level, from 1 to T; of a term that was drawn, the mean of those it may be.
        pairs: of neighbouring levels that the term stands for.
        bits: of all these pairs together, mean over the images.
        x0_mse: mean of (x0 - denoised)² there.
    """

    timestep: tuple[float, ...]
    pairs: tuple[int, ...]
    bits: tuple[float, ...]
    x0_mse: tuple[float, ...]


class BitsRecord(Record):
    """``bits.json``.

    Attributes:
        run: the run or checkpoint, as it was given.
        weights: hash of the weights.
        images_seen: images that the weights were trained on, counted with repeats.
        data: the images that could be taken.
        held_out: whether they are those that the run kept for itself.
        n: images measured: the first n of a fixed order of theirs.
        labels: whether the images' classes were told: the bits are then of p(x | label).
        mean, stderr: over the images, the latter the standard error of the mean.
        prior, kl, decoder: parts of a bound's mean.
        calls: network calls an image, on average.
        names, bits: of each image.
    """

    WRITER: ClassVar[str] = "ddpm likelihood"
    made_by: str
    run: str
    weights: str
    images_seen: int | None
    data: ReferenceRecord
    held_out: bool
    n: int
    size: tuple[int, int]
    mode: str
    labels: bool
    how: Likelihood
    mean: float
    stderr: float
    prior: float | None = None
    kl: float | None = None
    decoder: float | None = None
    calls: float
    levels: Levels | None = None
    notes: tuple[str, ...] = ()
    names: tuple[str, ...]
    bits: tuple[float, ...]
