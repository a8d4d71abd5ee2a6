"""A trained run, ready to draw samples."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil, prod
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from ddpm import build
from ddpm.classifier.load import Classifier
from ddpm.classifier.load import load as load_classifier
from ddpm.codec import PixelCodec
from ddpm.conditioning.label import LabelEmbedding
from ddpm.config.run import RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.core import Cond, Denoiser, Schedule
from ddpm.core.model import Model
from ddpm.guidance.classifier import Direction
from ddpm.images.pixels import Pixels
from ddpm.images.sheets import picture
from ddpm.pipeline import worse
from ddpm.pipeline.batches import among
from ddpm.pipeline.bits import bits_per_dim, likelihood
from ddpm.pipeline.editing.edit import edit
from ddpm.pipeline.editing.inpaint import inpaint
from ddpm.pipeline.editing.interpolate import interpolate
from ddpm.pipeline.editing.outpaint import outpaint
from ddpm.pipeline.editing.restore import restore
from ddpm.pipeline.indices import chosen
from ddpm.pipeline.labels import Label, Labels
from ddpm.pipeline.settings import asked, refuse_idle, settings
from ddpm.pipeline.task import PLAIN, Task, Tasks
from ddpm.pipeline.trajectory import Recorder, Trajectory
from ddpm.pipeline.upscaling import upscale
from ddpm.records.provenance import Provenance, Work
from ddpm.records.weights import run_folder
from ddpm.sampling import SampleNoise
from ddpm.sampling.follow import Moment, follow
from ddpm.sampling.windows import Windows, starts
from ddpm.system.errors import InputError

FEWEST = 16
"""Rows of a batch from which on the CPU's libraries compute each one alike, whatever the others: with fewer they take
other ways through a product, which round otherwise, and an image would not be quite the same alone as among others."""

OVERLAP = 0.5
"""Of the windows in which larger images are drawn."""


@dataclass(frozen=True)
class Pipeline:
    """A model and everything it was trained with. Holds no state: many threads may share one.

    Attributes:
        model: the averaged weights, in evaluation mode.
        config: of the run.
        schedule: its forward process.
        device: where the model is.
        source: the folder it was loaded from.
        weights: hash of the weights.
        tuned: what ``ddpm tune`` found for numbers of steps.
        worse: the checkpoint that guidance leads away from, where it is at hand; see :meth:`prepared`.
        classifier: the classifier of noised images that guidance follows, where it is at hand.
    """

    model: Model
    config: RunConfig
    schedule: Schedule
    device: torch.device
    source: Path
    weights: str
    tuned: tuple[SamplingConfig, ...] = ()
    worse: "Pipeline | None" = None
    classifier: Classifier | None = None

    @property
    def codec(self) -> PixelCodec:
        """Between 8-bit images and what is diffused."""
        return build.build_codec(self.config)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes: the model's, or those of its classifier; empty where neither knows any."""
        if self.model.conditioner is not None:
            return self.config.data.classes
        return self.classifier.classes if self.classifier is not None else ()

    @property
    def needs_label(self) -> bool:
        """Whether the null label means nothing, as it was never trained."""
        return self.model.conditioner is not None and not self.config.training.label_dropout

    def sample(
        self,
        n: int = 1,
        *,
        label: Label | Sequence[Label] | None = None,
        seed: int = 0,
        indices: Sequence[int] | None = None,
        batch: int = 64,
        progress: Callable[[int, int], None] | None = None,
        watch: Callable[[Moment], None] | None = None,
        **settings: Any,
    ) -> list[Image.Image]:
        """New images, the same for the same arguments whatever the batch.

        Args:
            n: how many.
            label: a class by name or index for all, or one for each image; None takes the null label.
            seed: image i is a function of (seed, i).
            indices: which images of the seed's set; 0 … n - 1 if None.
            batch: images in memory at a time.
            progress: called with (network steps done, in all).
            watch: called with each moment of each batch, before its steps and after the last.
            settings: the keys of :class:`SamplingConfig`: ``solver``, ``steps``, ``guidance`` …; the run's own where
                not given.

        Returns:
            n PIL images of the run's mode, each with its :class:`Provenance` in ``image.info``.

        Raises:
            InputError: an unknown label or setting, or a value that is not allowed.
        """
        if n < 1:
            raise InputError(f"n must be at least 1, not {n}")
        wanted = chosen(indices, n)
        pipe, how, labels = self.asked(settings, label, n)
        drawn = pipe.draws(how, labels, seed, wanted, batch=batch, progress=progress, watch=watch)
        return [
            pipe.record(how, pipe.classes[labels[k]] if labels else None, seed, index).attach(picture(pixels))
            for k, (index, pixels) in enumerate(zip(wanted, drawn, strict=True))
        ]

    def trajectory(self, n: int = 1, *, stages: int = 40, **asked: Any) -> Trajectory:
        """The images that :meth:`sample` gives for the same arguments, and how they come to be, by no further calls.

        Args:
            stages: at most, evenly spread over the steps, the noise and the images among them.
            asked: whatever :meth:`sample` takes.

        Raises:
            InputError: as :meth:`sample`, or fewer than two stages.
        """
        if stages < 2:
            raise InputError(f"stages must be at least 2, the noise and the image, not {stages}")
        recorder = Recorder(self.codec.decode, stages)
        images = self.sample(n, watch=recorder, **asked)
        return Trajectory(images, recorder.stages(self.schedule))

    def again(self, record: Provenance) -> Image.Image:
        """The image of a record, which this pipeline's weights have made.

        Raises:
            InputError: its label is not one of the run's, or it was made from other pictures, which it does not hold.
        """
        if record.work is not None:
            raise InputError(
                "this picture was made from others, which it does not hold; with them at hand, repeat "
                f"`{record.command()}`"
            )
        pipe = self.prepared(record.sampling)
        labels = pipe.labels(record.label, 1)
        pixels = pipe.draw(record.sampling, labels, record.seed, [record.index])[0]
        return pipe.record(record.sampling, record.label, record.seed, record.index).attach(picture(pixels))

    def labels(self, label: Label | Sequence[Label] | None, n: int) -> list[int] | None:
        """The label numbers of n images; None without a wish.

        Raises:
            InputError: an unknown class, or not one for each image.
        """
        return self.vocabulary.numbers(label, n)

    @property
    def vocabulary(self) -> Labels:
        """Names of classes to numbers, and what to say where there are none."""
        return Labels(self.classes, self.source)

    def record(
        self, how: SamplingConfig, label: str | None, seed: int, index: int, work: Work | None = None
    ) -> Provenance:
        """What an image of this pipeline is a function of."""
        run = str(self.source)
        return Provenance(run=run, weights=self.weights, seed=seed, index=index, label=label, sampling=how, work=work)

    def refuse_given(self) -> None:
        """Refuse to draw from nothing where the model has learned to draw from small images.

        Raises:
            InputError: the run is of super-resolution.
        """
        if self.config.upscaling is not None:
            raise InputError(
                f"{self.source} makes small images large; give it some: ddpm upscale {self.source} small.png"
            )

    def prepared(self, how: SamplingConfig) -> "Pipeline":
        """This pipeline with everything at hand that the settings need, so that many batches read it once.

        Raises:
            InputError: the checkpoint or the classifier to guide with is gone, or has other weights than the settings
                say.
        """
        have = self.classifier
        if how.classifier is not None and (have is None or how.classifier.weights not in (None, have.weights)):
            return replace(self, classifier=self.own_classifier(how.classifier.weights)).prepared(how)
        guide = None if how.guidance is None else how.guidance.guide
        if guide is None or (self.worse is not None and self.worse.weights == guide.weights):
            return self
        model = worse.model_of(guide, self.source, self.model)
        return replace(self, worse=replace(self, model=model, weights=guide.weights, worse=None))

    def own_classifier(self, weights: str | None = None) -> Classifier:
        """The run's classifier, of these weights if they are given."""
        found = self.classifier or load_classifier(run_folder(self.source), self.config, self.device)
        if weights not in (None, found.weights):
            raise InputError(f"the classifier of {self.source} has other weights now; restore it from a copy")
        return found

    def denoiser(
        self,
        how: SamplingConfig,
        *,
        labelled: bool,
        towards: Direction | None = None,
        noise: Cond | None = None,
        task: Task = PLAIN,
    ) -> Denoiser:
        """The model's denoiser: guided, in windows if the images are larger, bent to a task, clipped, held to it.

        Args:
            labelled: whether the images have labels; others are guided by a checkpoint only.
            towards: where the classifier leads, if one is asked for.
            noise: one row, what the network is told of the noise on images that it makes large, whatever the label.
        """
        ask = build.build_parameterisation(self.config.diffusion)
        guide, avoided = (None, None) if how.guidance is None else (how.guidance.guide, how.guidance.negative)
        negative = [] if avoided is None else [self.classes.index(avoided)]
        away = self.cond(negative, 1) if labelled else None
        away = away.plus(noise) if away is not None and noise is not None else away
        bad = self.prepared(how).worse if guide is not None else None
        denoise = build.build_guided(how, self.model, ask, away, bad.model if bad is not None else None, towards)
        if self.windows(how) > 1:
            denoise = Windows(denoise, self.config.data.size, OVERLAP)
        return task.held(build.build_clipped(how, task.bent(denoise)))

    def windows(self, how: SamplingConfig) -> int:
        """How many windows each image is drawn in; 1 for all of it at once."""
        if how.area is None or how.area.whole:
            return 1
        return prod(len(starts(n, own, OVERLAP)) for n, own in zip(how.area.size, self.config.data.size, strict=True))

    def _towards(self, how: SamplingConfig, labels: list[int]) -> Direction | None:
        """Where the classifier leads images of these classes, if one is asked for."""
        if how.classifier is None:
            return None
        classifier = self.prepared(how).classifier
        assert classifier is not None
        return classifier.towards(labels, how.classifier.scale, self.device)

    def draws(
        self,
        how: SamplingConfig,
        labels: list[int] | None,
        seed: int,
        indices: list[int],
        *,
        batch: int = 64,
        progress: Callable[[int, int], None] | None = None,
        watch: Callable[[Moment], None] | None = None,
        task: Tasks | None = None,
    ) -> Iterator[Pixels]:
        """(H, W, C) uint8 of one image after the other, drawn in batches; see :meth:`draw`.

        Args:
            task: as of all images, by their places in ``indices``.
        """
        if batch < 1:
            raise InputError(f"batch must be at least 1, not {batch}")
        pipe, batches = self.prepared(how), -(-len(indices) // batch)
        for number in range(batches):
            part = slice(number * batch, (number + 1) * batch)
            mine = labels[part] if labels else None
            report = among(progress, number, batches)
            own = None if task is None else _from(task, number * batch)
            yield from pipe.draw(how, mine, seed, indices[part], report, watch, own)

    @torch.no_grad()
    def draw(
        self,
        how: SamplingConfig,
        labels: list[int] | None,
        seed: int,
        indices: list[int],
        progress: Callable[[int, int], None] | None = None,
        watch: Callable[[Moment], None] | None = None,
        task: Tasks | None = None,
    ) -> Pixels:
        """One batch of samples, (len(indices), H, W, C) uint8: what :meth:`sample` makes pictures of.

        Args:
            labels: the class of each image by number; None takes the null label.
            indices: which images of the seed's set.
            progress, watch: see :meth:`sample`.
            task: what sampling is bent to, of the places 0 … len(indices) - 1; None draws from nothing.
        """
        self.refuse_given()
        n, windows = len(indices), self.windows(how)
        rows, kinds = self.fill(indices, windows), self.fill(labels, windows)
        bent = PLAIN if task is None else task(self.fill(list(range(n)), windows))
        towards = self._towards(how, kinds)
        denoise = self.denoiser(how, labelled=labels is not None, towards=towards, task=bent)
        solver = build.build_solver(how, self.schedule, towards)
        grid = bent.levels or build.build_grid(how, self.schedule)
        shape = (self.config.network.in_channels, *(how.area.size if how.area is not None else self.config.data.size))
        randn = SampleNoise(seed, rows, shape, self.device)
        x = bent.begin(grid[0], randn)
        cond = self.cond(kinds, len(rows))
        for moment in follow(denoise, solver, grid, x, randn, cond, bent.constraint):
            x = moment.x[:n]
            if watch is not None:
                watch(moment._replace(x=x, x0=moment.x0[:n]))
            if progress is not None and moment.number:
                progress(moment.number, moment.of)
        pixels: Pixels = self.codec.decode(x).cpu().numpy()
        return pixels

    # in files of their own: functions whose first argument is the pipeline
    settings = settings
    asked = asked
    refuse_idle = refuse_idle
    bits_per_dim = bits_per_dim
    likelihood = likelihood
    inpaint = inpaint
    outpaint = outpaint
    edit = edit
    restore = restore
    interpolate = interpolate
    upscale = upscale

    def fill(self, rows: list[int] | None, windows: int = 1) -> list[int]:
        """A small batch, filled up with copies of its last row where that makes the others exact.

        Args:
            windows: how many rows the network is asked for at once for each image.
        """
        if not rows:
            return []
        return rows + rows[-1:] * (ceil(FEWEST / windows) - len(rows)) if self.device.type == "cpu" else rows

    def cond(self, labels: list[int] | None, n: int) -> Cond | None:
        """What the network is told of n images: their classes by number, or the null label; None without classes."""
        if not isinstance(self.model.conditioner, LabelEmbedding):
            return None
        if not labels:
            return self.model.conditioner.null(n)
        return self.model.cond(torch.tensor(labels, device=self.device))


def _from(task: Tasks, first: int) -> Tasks:
    return lambda rows: task([first + row for row in rows])
