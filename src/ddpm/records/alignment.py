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
        null: How much higher it is without captions, as a fraction of ``right``; None if the run needs captions.
        shuffled: How much higher it is with captions of other images.
    """

    first: int
    last: int
    right: float
    null: Estimate | None
    shuffled: Estimate


class Retrieval(Strict):
    """How often the right caption, among several, gives an image its lowest loss.

    Attributes:
        among: The number of captions of each image, one of which is its own.
        samples, images: The number of samples of the run, and of captioned images.
        drawn: The share of samples, each with the caption that it was drawn from.
        real: The share of captioned images.
    """

    among: int
    samples: int
    images: int
    drawn: Estimate
    real: Estimate


class ClipScore(Strict):
    """100 times the mean cosine similarity of images and their captions under a CLIP model.

    Attributes:
        folder: The folder of the model, as given.
        hash: A hash of its weights and of how images are prepared for it.
        drawn: The score of the samples of :class:`Retrieval`.
        real: The score of its captioned images.
    """

    folder: str
    hash: str
    drawn: Estimate
    real: Estimate


class AlignmentRecord(Record):
    """``alignment.json``.

    Attributes:
        weights: The hash of the weights.
        seed: The seed of the noise and of the samples.
        n: The number of captioned images that the losses are averaged over.
        held_out: Whether they were held out from training.
        labels: Whether their classes were given as well.
        reference: These images.
        levels: The losses, from low to high noise.
        retrieval: None if no samples were asked for.
        sampling: The settings of the samples.
        clip: None without a CLIP model.
        prompts: The prompts of the rows of ``alignment.png``, next to this file; empty without one.
    """

    WRITER: ClassVar[str] = "ddpm alignment"
    weights: str
    seed: int
    n: int
    held_out: bool
    labels: bool
    reference: ReferenceRecord
    levels: tuple[LevelLoss, ...]
    retrieval: Retrieval | None
    sampling: SamplingConfig
    clip: ClipScore | None = None
    prompts: tuple[str, ...] = ()
