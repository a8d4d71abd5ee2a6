"""The record of a likelihood: bits per dimension of many images, and everything that determines them."""

from typing import ClassVar

from ddpm.config.likelihood import Likelihood
from ddpm.records.score import ReferenceRecord
from ddpm.system.record import Record, Strict

FILE = "bits.json"


class Levels(Strict):
    """The contributions to the bound, noisiest first: one entry per term, the decoder's last.

    Attributes:
        timestep: of the term's noisier level, from 1 to T; the expected timestep of a randomly drawn term.
        pairs: the number of pairs of neighbouring levels that the term represents.
        bits: the sum over these pairs, averaged over the images.
        x0_mse: mean of (x0 - denoised)² at that level.
    """

    timestep: tuple[float, ...]
    pairs: tuple[int, ...]
    bits: tuple[float, ...]
    x0_mse: tuple[float, ...]


class BitsRecord(Record):
    """``bits.json``.

    Attributes:
        run: the run or checkpoint, as given.
        weights: hash of the weights.
        images_seen: images that the weights were trained on, counting repeats.
        data: the images that n were chosen from.
        held_out: whether these are the run's held-out images.
        n: the number of images measured, the first n in a fixed order.
        labels: whether conditioned on the images' classes; the bits are then those of p(x | label).
        mean, stderr: the mean over the images and its standard error.
        prior, kl, decoder: parts of the mean, for a bound.
        calls: mean network calls per image.
        names, bits: the name and the bits of each image.
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
