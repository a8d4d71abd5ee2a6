"""How well a run follows captions."""

from typing import ClassVar

from ddpm.config.sampling import SamplingConfig
from ddpm.metrics.estimate import Estimate
from ddpm.records.score import ReferenceRecord
from ddpm.system.record import Record, Strict


class LevelLoss(Strict):
    """The loss on captioned images at a group of noise levels.

    Attributes:
        first, last: The lowest and the highest timestep of the group.
        right: The mean loss with the images' own captions.
        null: How much higher it is without captions, as a fraction of ``right``.
        shuffled: How much higher it is with captions of other images.
    """

    first: int
    last: int
    right: float
    null: Estimate
    shuffled: Estimate


class Retrieval(Strict):
    """How often the right one among several captions has the lowest loss of an image.

    Attributes:
        n: The number of images.
        among: The number of captions of each.
        drawn: The share of samples of the run, each with the caption that it was drawn from.
        real: The share of captioned images.
    """

    n: int
    among: int
    drawn: Estimate
    real: Estimate


class AlignmentRecord(Record):
    """``alignment.json``.

    Attributes:
        weights: The hash of the weights.
        seed: The seed of the noise and of the samples.
        n: The number of captioned images of the losses.
        held_out: Whether they were held out from training.
        reference: These images.
        levels: The losses, from low to high noise.
        retrieval: None if no samples were asked for.
        sampling: The settings of the samples.
        clip_score: 100 times the mean cosine similarity of samples and captions under a CLIP model; None without one.
        clip: The folder of that model.
    """

    WRITER: ClassVar[str] = "ddpm alignment"
    weights: str
    seed: int
    n: int
    held_out: bool
    reference: ReferenceRecord
    levels: tuple[LevelLoss, ...]
    retrieval: Retrieval | None
    sampling: SamplingConfig
    clip_score: Estimate | None = None
    clip: str | None = None
