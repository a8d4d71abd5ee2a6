"""A trained run, loaded: the engine with its weights, and what is known of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import torch

from ddpm.config.run import RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.core.condition import Conditions
from ddpm.core.model import Model
from ddpm.engine import checkpoint_guide
from ddpm.engine.classifier import Classifier
from ddpm.engine.classifier import load as load_classifier
from ddpm.engine.diffusion import Diffusion, Guides
from ddpm.engine.labels import Label, Labels
from ddpm.engine.task import Tasks
from ddpm.guidance.classifier import Direction
from ddpm.images.pixels import Pixels
from ddpm.records.provenance import Provenance, Work
from ddpm.records.run_folder import RunFolder
from ddpm.sampling import rows_of
from ddpm.sampling.follow import Moment
from ddpm.system.errors import InputError
from ddpm.system.progress import Progress, silent


@dataclass(frozen=True)
class LoadedRun:
    """A run's engine and all that the run says of itself. Holds no state: many threads may share one.

    Attributes:
        engine: with the averaged weights, in evaluation mode.
        config: of the run.
        source: the folder it was loaded from.
        weights: hash of the weights.
        tuned: what ``ddpm tune`` found for numbers of steps.
        weak: the checkpoint that guidance leads away from, where it is at hand, and the hash of its weights.
        classifier: the classifier of noised images that guidance follows, where it is at hand.
    """

    engine: Diffusion
    config: RunConfig
    source: Path
    weights: str
    tuned: tuple[SamplingConfig, ...] = ()
    weak: tuple[str, Model] | None = None
    classifier: Classifier | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes: the model's, or those of its classifier; empty where neither knows any."""
        if self.learned_labels:
            return self.config.data.classes
        return self.classifier.classes if self.classifier is not None else ()

    @property
    def learned_labels(self) -> bool:
        """Whether the network itself is conditioned on labels."""
        return "label" in self.engine.model.conditioners

    @property
    def needs_label(self) -> bool:
        """Whether the null label means nothing, as it was never trained."""
        return self.learned_labels and not self.config.training.label_dropout

    @property
    def vocabulary(self) -> Labels:
        """Names of classes to numbers, and what to say where there are none."""
        return Labels(self.classes, self.source)

    def labels(self, label: Label | Sequence[Label] | None, n: int) -> list[int] | None:
        """The label numbers of n images; None where none is asked for.

        Raises:
            InputError: an unknown class, or not one for each image.
        """
        return self.vocabulary.numbers(label, n)

    def conditions(self, labels: Sequence[int] | None) -> Conditions:
        """Raw conditions of images with these labels, by number; none without."""
        return {"label": torch.tensor(labels)} if labels and self.learned_labels else {}

    def record(
        self, how: SamplingConfig, label: str | None, seed: int, index: int, work: Work | None = None
    ) -> Provenance:
        """What an image of this run is a function of."""
        run = str(self.source)
        return Provenance(run=run, weights=self.weights, seed=seed, index=index, label=label, sampling=how, work=work)

    def refuse_given(self) -> None:
        """Refuse to sample from nothing where the model makes small images larger.

        Raises:
            InputError: the run is of super-resolution.
        """
        if self.config.upscaling is not None:
            raise InputError(
                "invalid", f"{self.source} makes small images large; give it some: ddpm upscale {self.source} small.png"
            )

    def prepared(self, how: SamplingConfig) -> Self:
        """This run with everything at hand that the settings need, so that many batches read it once.

        Raises:
            InputError: the checkpoint or the classifier to guide with is gone, or has other weights than the settings
                say.
        """
        have, wanted = self.classifier, how.classifier
        if wanted is not None and (have is None or wanted.weights not in (None, have.weights)):
            return replace(self, classifier=self.own_classifier(wanted.weights)).prepared(how)
        guide = None if how.guidance is None else how.guidance.guide
        if guide is None or (self.weak is not None and self.weak[0] == guide.weights):
            return self
        model = checkpoint_guide.model_of(guide, self.source, self.engine.model)
        return replace(self, weak=(guide.weights, model))

    def own_classifier(self, weights: str | None = None) -> Classifier:
        """The run's classifier, of these weights if they are given."""
        found = self.classifier or load_classifier(RunFolder.open(self.source), self.config, self.engine.device)
        if weights not in (None, found.weights):
            raise InputError(
                "invalid", f"the classifier of {self.source} has other weights now; restore it from a copy"
            )
        return found

    def guides(self, how: SamplingConfig, labels: Sequence[int] | None) -> Guides:
        """What guidance steers images of these labels by."""
        run, away, towards = self.prepared(how), None, None
        if labels and self.learned_labels:
            negative = None if how.guidance is None else how.guidance.negative
            away = self.conditions(None if negative is None else [self.classes.index(negative)])
        if how.classifier is not None:
            assert run.classifier is not None
            assert labels
            classifier, scale, device = run.classifier, how.classifier.scale, self.engine.device

            def towards(at: Sequence[int]) -> Direction:
                return classifier.towards([labels[i] for i in at], scale, device)

        guided = how.guidance is not None and how.guidance.guide is not None
        weak = run.weak[1] if guided and run.weak is not None else None
        return Guides(away, weak, towards)

    def draw(
        self,
        how: SamplingConfig,
        labels: list[int] | None,
        seed: int,
        indices: Sequence[int],
        progress: Progress = silent,
        watch: Callable[[Moment], None] | None = None,
        task: Tasks | None = None,
    ) -> Pixels:
        """One batch of images of a seed, (len(indices), H, W, C) uint8; see :meth:`Diffusion.draw`."""
        rows = rows_of(seed, indices)
        conditions, guides = self.conditions(labels), self.guides(how, labels)
        return self.engine.draw(how, rows, conditions, guides, task=task, progress=progress, watch=watch)

    def draws(
        self,
        how: SamplingConfig,
        labels: list[int] | None,
        seed: int,
        indices: Sequence[int],
        *,
        batch: int = 64,
        progress: Progress = silent,
        watch: Callable[[Moment], None] | None = None,
    ) -> Iterator[Pixels]:
        """(H, W, C) uint8 of one image after the other, drawn in batches; see :meth:`Diffusion.draws`.

        Raises:
            InputError: a batch of none.
        """
        if batch < 1:
            raise InputError("invalid", f"batch must be at least 1, not {batch}")
        run, rows = self.prepared(how), rows_of(seed, indices)
        conditions, guides = run.conditions(labels), run.guides(how, labels)
        return run.engine.draws(how, rows, conditions, guides, batch=batch, progress=progress, watch=watch)
