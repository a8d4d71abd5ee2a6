"""What was found: bits per dimension of many images, and everything they are a function of."""

from pathlib import Path
from typing import Literal, Self

from pydantic import ValidationError

from ddpm.config.likelihood import Likelihood
from ddpm.records.score import ReferenceRecord
from ddpm.system.errors import InputError
from ddpm.system.names import VarianceName
from ddpm.system.record import Strict

FILE = "bits.json"


class Levels(Strict):
    """Where the bound's bits come from, noisiest first: one entry a term, the decoder's last.

    Attributes:
        place: of the term's noisier level, from 1 to T; of a term that was drawn, the mean of those it may be.
        pairs: of neighbouring levels that the term stands for.
        bits: of all these pairs together, mean over the images.
        x0_mse: mean of (x0 - denoised)² there.
    """

    place: tuple[float, ...]
    pairs: tuple[int, ...]
    bits: tuple[float, ...]
    x0_mse: tuple[float, ...]


class BitsRecord(Strict):
    """``bits.json``.

    Attributes:
        run: the run or checkpoint, as it was given.
        weights: hash of the weights.
        images_seen: images that the weights were trained on, counted with repeats.
        variance: of a reverse step, as the bound takes it; None for the ODE.
        data: the images that could be taken.
        held_out: whether they are those that the run kept for itself.
        n: images measured: the first n of a fixed order of theirs.
        batch: images that shared the ODE's steps and its error; None for the bound, where nothing is shared.
        labels: whether the images' classes were told: the bits are then of p(x | label).
        mean, stderr: over the images, the latter the standard error of the mean.
        prior, kl, decoder: parts of a bound's mean.
        calls: network calls an image, on average.
        names, bits: of each image.
    """

    format: Literal[2] = 2
    made_by: str
    run: str
    weights: str
    images_seen: int | None
    variance: VarianceName | None
    data: ReferenceRecord
    held_out: bool
    n: int
    batch: int | None
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

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a bits.json.

        Raises:
            InputError: no such file, or none that `ddpm evaluate --bits-per-dim` wrote.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (ValidationError, OSError) as e:
            raise InputError(f"{path} is not what `ddpm evaluate --bits-per-dim` of this version writes") from e

    def to_json(self) -> str:
        """As it is written."""
        return self.model_dump_json(indent=2) + "\n"
