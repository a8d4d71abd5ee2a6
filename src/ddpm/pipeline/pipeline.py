"""A trained run, ready to draw samples."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import torch
from PIL import Image
from pydantic import ValidationError

from ddpm import build
from ddpm.codec import picture
from ddpm.codec.picture import Pixels
from ddpm.conditioning.label import LabelEmbedding
from ddpm.config import OF_GUIDANCE, OF_SOLVER, GridName, Guide, RunConfig, SamplingConfig, explain, suggest
from ddpm.core import Cond, Denoiser, Schedule
from ddpm.core.model import Model
from ddpm.errors import InputError
from ddpm.likelihood import estimate
from ddpm.likelihood.settings import Likelihood, settle
from ddpm.pipeline.trajectory import Recorder, Trajectory
from ddpm.provenance import Provenance
from ddpm.sampling import SampleNoise, start
from ddpm.sampling.follow import Moment, follow
from ddpm.training import checkpoint as checkpoints
from ddpm.weights import averaged, fingerprint, run_folder

Label = str | int

FEWEST = 16
"""Rows of a batch from which on the CPU's libraries compute each one alike, whatever the others: with fewer they take
other ways through a product, which round otherwise, and an image would not be quite the same alone as among others."""


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
    """

    model: Model
    config: RunConfig
    schedule: Schedule
    device: torch.device
    source: Path
    weights: str
    tuned: tuple[SamplingConfig, ...] = ()
    worse: "Pipeline | None" = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; empty for a model without labels."""
        return self.config.data.classes if self.model.conditioner is not None else ()

    @property
    def needs_label(self) -> bool:
        """Whether the null label means nothing, as it was never trained."""
        return bool(self.classes) and not self.config.training.label_dropout

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
        if batch < 1:
            raise InputError(f"batch must be at least 1, not {batch}")
        how = self.settings(settings)
        wanted = list(range(n)) if indices is None else list(indices)
        if len(wanted) != n:
            raise InputError(f"{len(wanted)} indices were given for {n} images; give one each")
        labels = self.labels(label, n)
        self.refuse_idle(settings, how, labelled=labels is not None)
        if labels and {self.classes[k] for k in labels} == {how.negative}:
            raise InputError(f"negative {how.negative} is what the images shall be; give another class to either")
        pipe = self.prepared(how)
        images: list[Image.Image] = []
        for first in range(0, n, batch):
            part = slice(first, first + batch)
            report = None
            if progress is not None:
                report = _offset(progress, (first // batch) * how.steps, -(-n // batch) * how.steps)
            images += pipe._batch(how, labels[part] if labels else None, seed, wanted[part], report, watch)
        return images

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
        recorder = Recorder(build.build_codec(self.config).decode, stages)
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
                f"`{record.work.words(record.run)} --seed {record.seed}`"
            )
        labels = self.labels(record.label, 1)
        return self._batch(record.sampling, labels, record.seed, [record.index], None)[0]

    def settings(self, changes: dict[str, Any]) -> SamplingConfig:
        """The run's sampling settings with some changed; a tuned grid where solver and grid are left to the run.

        Raises:
            InputError: an unknown name, or a value that is not allowed.
        """
        tree = self.config.sampling.model_dump()
        if isinstance(changes.get("guide_with"), str | Path):
            changes = changes | {"guide_with": self._guide(changes["guide_with"])}
        if changes.get("negative") is not None:
            changes = changes | {"negative": self.classes[self._label(changes["negative"])]}
        if changes.get("solver", tree["solver"]) != tree["solver"]:
            tree |= dict.fromkeys(OF_SOLVER)  # the run's own belong to its solver
        if changes.get("grid", tree["grid"]) not in get_args(GridName):
            del tree["steps"]  # a list of places says how many they are
        if changes.get("guidance") == 1:
            tree |= dict.fromkeys(OF_GUIDANCE)  # the run's own belong to guidance
        if changes.get("clip") is False:
            tree["threshold"] = None  # the run's own belongs to clipping
        try:
            how = SamplingConfig.model_validate(tree | changes)
        except ValidationError as e:
            raise InputError(explain(e, SamplingConfig)) from e
        return how if changes.keys() & {"solver", "grid", *OF_SOLVER} else self._tuned(how, changes.get("steps"))

    def _tuned(self, how: SamplingConfig, steps: int | None) -> SamplingConfig:
        """What was tuned for as many steps, or the most of it where none are asked for, if all else is alike."""
        own = {"solver", "grid", "steps", *OF_SOLVER}
        alike = [found for found in self.tuned if found.model_dump(exclude=own) == how.model_dump(exclude=own)]
        fits = [found for found in alike if steps in (None, found.steps)]
        return max(fits, key=lambda found: found.steps, default=how)

    def refuse_idle(self, changes: dict[str, Any], how: SamplingConfig, *, labelled: bool) -> None:
        """Refuse what was asked for and has no effect.

        Args:
            changes: what was asked for.
            how: the settings with it.
            labelled: whether the images have labels.

        Raises:
            InputError: guidance of images without labels.
        """
        for name in ("guidance", *OF_GUIDANCE):
            if not labelled and how.guide_with is None and how.guidance != 1 and changes.get(name) is not None:
                raise InputError(f"{name} {changes[name]} has nothing to guide towards: {self._no_label()}")

    def labels(self, label: Label | Sequence[Label] | None, n: int) -> list[int] | None:
        """The label numbers of n images; None without a wish.

        Raises:
            InputError: an unknown class, or not one for each image.
        """
        if label is None:
            return None
        given = [label] if isinstance(label, str | int) else list(label)
        if isinstance(label, str | int):
            given *= n
        if len(given) != n:
            raise InputError(f"{len(given)} labels were given for {n} images; give one for all, or one each")
        return [self._label(one) for one in given]

    def _label(self, label: Label) -> int:
        if not self.classes:
            raise InputError(f"label {label!r} cannot be used: " + self._no_label())
        if label in self.classes:
            return self.classes.index(str(label))
        if isinstance(label, int) or label.isdecimal():
            if 0 <= int(label) < len(self.classes):
                return int(label)
            raise InputError(f"label {label} is outside 0 … {len(self.classes) - 1}")
        raise InputError(f"unknown label {label!r}{suggest(label, list(self.classes))}")

    def _no_label(self) -> str:
        if self.classes:
            return f"give a label (known: {', '.join(self.classes)})"
        return f"{self.source} was trained without labels"

    def _batch(
        self,
        how: SamplingConfig,
        labels: list[int] | None,
        seed: int,
        indices: list[int],
        progress: Callable[[int, int], None] | None,
        watch: Callable[[Moment], None] | None = None,
    ) -> list[Image.Image]:
        return [
            Provenance(
                run=str(self.source),
                weights=self.weights,
                seed=seed,
                index=index,
                label=None if labels is None else self.classes[labels[k]],
                sampling=how,
            ).attach(picture(image))
            for k, (index, image) in enumerate(
                zip(indices, self.draw(how, labels, seed, indices, progress, watch), strict=True)
            )
        ]

    def _guide(self, given: str | Path) -> Guide:
        """The checkpoint of this run that a path or a name means."""
        home = run_folder(self.source) / "checkpoints"
        folder = home / given if len(Path(given).parts) == 1 else Path(given)
        if folder.resolve().parent != home.resolve() or not folder.is_dir():
            known = ", ".join(path.name for path in checkpoints.paths(home)) or "none are left"
            raise InputError(f"guide_with {given} is no checkpoint of {run_folder(self.source)} (known: {known})")
        weights = fingerprint(averaged(folder))
        if weights == self.weights:
            raise InputError(f"guide_with {given} has the weights that it would guide; give an earlier checkpoint")
        return Guide(checkpoint=folder.resolve().name, weights=weights)

    def prepared(self, how: SamplingConfig) -> "Pipeline":
        """This pipeline with everything at hand that the settings need, so that many batches read it once.

        Raises:
            InputError: the checkpoint to guide with is gone, or has other weights than the settings say.
        """
        guide = how.guide_with
        if guide is None or (self.worse is not None and self.worse.weights == guide.weights):
            return self
        folder = run_folder(self.source) / "checkpoints" / guide.checkpoint
        if not folder.is_dir():
            raise InputError(f"{folder}, the checkpoint to guide with, is not there; restore it from a copy")
        weights = averaged(folder)
        if fingerprint(weights) != guide.weights:
            raise InputError(f"{folder}, the checkpoint to guide with, has other weights now; restore it from a copy")
        model = deepcopy(self.model)  # a new one would take its start from torch's generator
        checkpoints.load_into(model.state_dict(), weights, str(folder))
        return replace(self, worse=replace(self, model=model, source=folder, weights=guide.weights, worse=None))

    def denoiser(self, how: SamplingConfig, *, labelled: bool) -> Denoiser:
        """The model's denoiser, guided and clipped as the settings say.

        Args:
            labelled: whether the images have labels; others are guided by a checkpoint only.
        """
        ask = build.build_parameterisation(self.config.diffusion)
        negative = [] if how.negative is None else [self.classes.index(how.negative)]
        away = self.cond(negative, 1) if labelled else None
        worse = self.prepared(how).worse if how.guide_with is not None else None
        return build.build_denoiser(how, self.model, ask, away, worse.model if worse is not None else None)

    @torch.no_grad()
    def draw(
        self,
        how: SamplingConfig,
        labels: list[int] | None,
        seed: int,
        indices: list[int],
        progress: Callable[[int, int], None] | None = None,
        watch: Callable[[Moment], None] | None = None,
    ) -> Pixels:
        """One batch of samples, (len(indices), H, W, C) uint8: what :meth:`sample` makes pictures of.

        Args:
            labels: the class of each image by number; None takes the null label.
            indices: which images of the seed's set.
            progress, watch: see :meth:`sample`.
        """
        denoise = self.denoiser(how, labelled=labels is not None)
        solver, grid = build.build_solver(how, self.schedule), build.build_grid(how, self.schedule)
        shape = (self.config.network.in_channels, *self.config.data.size)
        rows, n = self._fill(indices), len(indices)
        randn = SampleNoise(seed, rows, shape, self.device)
        x = start(grid[0], randn)
        for moment in follow(denoise, solver, grid, x, randn, self.cond(self._fill(labels), len(rows))):
            x = moment.x[:n]
            if watch is not None:
                watch(moment._replace(x=x, x0=moment.x0[:n]))
            if progress is not None and moment.number:
                progress(moment.number, how.steps)
        pixels: Pixels = build.build_codec(self.config).decode(x).cpu().numpy()
        return pixels

    def bits_per_dim(
        self,
        images: Image.Image | Sequence[Image.Image] | Pixels,
        method: str = "bound",
        *,
        labels: Label | Sequence[Label] | None = None,
        steps: int | None = None,
        terms: int | None = None,
        seed: int = 0,
        indices: Sequence[int] | None = None,
        clip: bool | None = None,
        batch: int = 64,
        progress: Callable[[int, int], None] | None = None,
    ) -> torch.Tensor:
        """Bits that the model takes for each 8-bit value of an image, (B,) float32: the less, the likelier it is.

        Args:
            images: one or several pictures of the run's size and mode, or (B, H, W, C) uint8.
            method: "bound", an upper bound (Ho et al. 2020, eq. 5), or "ode", the density (Song et al. 2021).
            labels: what the images are, one for all or one each; None asks for p(x) whatever the class.
            steps, terms, clip: see :class:`Likelihood`.
            seed, indices: the noise of the image with index i, 0 … B - 1 if None, is a function of (seed, i).
            batch: images in memory at a time. Those of one batch share the ODE's steps, and its error.
            progress: called with (network calls done, in all); of the ODE nobody knows how many, and in all is 0.

        Raises:
            InputError: images, labels or settings that cannot be used.
        """
        how = settle(self.config, method, steps=steps, terms=terms, seed=seed, clip=clip)
        pixels = estimate.pixels(images, self.config.data)
        n = len(pixels)
        if batch < 1:
            raise InputError(f"batch must be at least 1, not {batch}")
        which = list(range(n)) if indices is None else list(indices)
        if len(which) != n:
            raise InputError(f"{len(which)} indices were given for {n} images; give one each")
        given, bits = self.labels(labels, n), []
        before, total = 0, -(-n // batch) * (how.calls or 0)
        for first in range(0, n, batch):
            part = slice(first, first + batch)
            report = None if progress is None else _offset(progress, before, total)
            answer = self.likelihood(how, pixels[part], given[part] if given else None, which[part], report)
            bits.append(answer.bits)
            before += answer.calls
        return torch.cat(bits)

    def likelihood(
        self,
        how: Likelihood,
        pixels: Pixels,
        labels: list[int] | None,
        indices: list[int],
        progress: Callable[[int, int], None] | None = None,
    ) -> estimate.Answer:
        """One batch: what :meth:`bits_per_dim` takes the bits of, with where they come from.

        Args:
            pixels: (B, H, W, C) uint8.
            labels: the class of each image by number; None takes the null label.
            progress: called with (network calls done, in all, or 0).
        """
        if labels is None and self.needs_label:
            raise InputError(
                f"{self.source} never saw an image without its label when it was trained: {self._no_label()}"
            )
        rows = self._fill(list(range(len(pixels))))
        images = torch.from_numpy(pixels[rows]).to(self.device)
        cond = self.cond(self._fill(labels), len(rows))
        answer = estimate.estimate(self.model, self.config, how, images, self._fill(indices), cond, progress)
        return answer.first(len(pixels))

    def _fill(self, rows: list[int] | None) -> list[int]:
        """A small batch, filled up with copies of its last row where that makes the others exact."""
        if not rows:
            return []
        return rows + rows[-1:] * (FEWEST - len(rows)) if self.device.type == "cpu" else rows

    def cond(self, labels: list[int] | None, n: int) -> Cond | None:
        """What the network is told of n images: their classes by number, or the null label; None without classes."""
        if not isinstance(self.model.conditioner, LabelEmbedding):
            return None
        if not labels:
            return self.model.conditioner.null(n)
        return self.model.cond(torch.tensor(labels, device=self.device))


def _offset(progress: Callable[[int, int], None], before: int, total: int) -> Callable[[int, int], None]:
    return lambda done, of: progress(before + done, total)
