"""A loaded run: the engine with its weights and their records."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import torch

from ddpm.config.run import RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.core.condition import Conditions
from ddpm.core.model import Model
from ddpm.engine import autoguidance
from ddpm.engine.classifier import Classifier
from ddpm.engine.classifier import load as load_classifier
from ddpm.engine.diffusion import Diffusion
from ddpm.engine.guides import Guides
from ddpm.engine.labels import Label, Labels, Prompts
from ddpm.engine.subjects import NOTHING, Subjects
from ddpm.engine.task import Tasks
from ddpm.guidance.classifier import Direction
from ddpm.images.pixels import Pixels
from ddpm.records.guidance import GuidanceRecord
from ddpm.records.provenance import Provenance, Work
from ddpm.records.run_folder import RunFolder
from ddpm.sampling import rows_of
from ddpm.sampling.follow import Moment
from ddpm.system.errors import InputError
from ddpm.system.progress import Progress, silent
from ddpm.text.encoder import PromptEncoder


@dataclass(frozen=True)
class LoadedRun:
    """A run's engine, configuration and records. It has no state, so threads may share it.

    Attributes:
        engine: the engine with the averaged weights, in evaluation mode.
        config: the configuration of the run.
        source: the folder it was loaded from.
        weights: the hash of the weights: the run's own, or the average that a search found better.
        tuned: the settings that ``ddpm tune`` found, by number of steps.
        guided: the search for guidance of these weights, if there was one.
        weak: the hash and the model of the earlier version to guide away from, if loaded.
        classifier: the classifier of noised images for guidance, if loaded.
        text: the encoder of prompts; None for a run without text.
    """

    engine: Diffusion
    config: RunConfig
    source: Path
    weights: str
    tuned: tuple[SamplingConfig, ...] = ()
    guided: GuidanceRecord | None = None
    weak: tuple[str, Model] | None = None
    classifier: Classifier | None = None
    text: PromptEncoder | None = None

    @property
    def sampling(self) -> SamplingConfig:
        """The default settings of the run, with the guidance that was found for its weights.

        It has no guidance away from a null label or prompt that was never trained.
        """
        own = self.config.sampling
        if self.guided is not None:
            return own.model_copy(update={"guidance": self.guided.chosen})
        g = own.guidance
        if g is None or g.guide is not None or self.learned_guidance:
            return own
        untrained = (self.needs_label and g.negative is None) or (self.needs_prompt and g.negative_prompt is None)
        return own.model_copy(update={"guidance": None}) if untrained else own

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes: the model's or its classifier's; empty if neither has any."""
        if self.learned_labels:
            return self.config.data.classes
        return self.classifier.classes if self.classifier is not None else ()

    @property
    def learned_labels(self) -> bool:
        """Whether the network itself is conditioned on labels."""
        return "label" in self.engine.model.conditioners

    @property
    def learned(self) -> bool:
        """Whether the network is conditioned on labels or captions."""
        return self.learned_labels or self.text is not None

    @property
    def learned_guidance(self) -> bool:
        """Whether the network itself is conditioned on the guidance scale, so that nothing else guides it."""
        return "guidance" in self.engine.model.conditioners

    @property
    def needs_label(self) -> bool:
        """Whether a label is required, because the null label was never trained."""
        return self.learned_labels and not self.config.training.label_dropout

    @property
    def needs_prompt(self) -> bool:
        """Whether a prompt is required, because the null prompt was never trained."""
        return self.text is not None and not self.config.training.label_dropout

    @property
    def vocabulary(self) -> Labels:
        """The labels of the run, with advice if it has none."""
        return Labels(self.classes, self.source)

    @property
    def prompts(self) -> Prompts:
        """The prompts of the run."""
        return Prompts(self.text is not None, self.source)

    @property
    def advice(self) -> str:
        """Advice on the labels or prompts that a run accepts."""
        return self.vocabulary.advice if self.text is None or self.classes else self.prompts.advice

    def labels(self, label: Label | Sequence[Label] | None, n: int) -> list[int] | None:
        """Return the label numbers of n images; None without labels.

        Raises:
            InputError: an unknown class, or the number of labels differs from n.
        """
        return self.vocabulary.numbers(label, n)

    def subjects(
        self, label: Label | Sequence[Label] | None = None, prompt: str | Sequence[str] | None = None, n: int = 1
    ) -> Subjects:
        """Return the label numbers and the prompts of n images.

        Raises:
            InputError: an unknown class, a prompt for a run without text, or their number differs from n.
        """
        labels = self.labels(label, n)
        return Subjects(None if labels is None else tuple(labels), self.prompts.each(prompt, n))

    def conditions(self, subjects: Subjects) -> Conditions:
        """Return the raw conditions of images with these labels and prompts; empty without any."""
        found: dict[str, torch.Tensor] = {}
        if subjects.labels and self.learned_labels:
            found["label"] = torch.tensor(subjects.labels)
        if subjects.prompts and self.text is not None:
            found["caption"] = torch.from_numpy(self.text(subjects.prompts))
        return found

    def record(
        self, how: SamplingConfig, subjects: Subjects, seed: int, index: int, work: Work | None = None
    ) -> Provenance:
        """Record everything that determines one image of this run; ``subjects`` holds only the image's subject."""
        return Provenance(
            run=str(self.source),
            weights=self.weights,
            seed=seed,
            index=index,
            label=self.classes[subjects.labels[0]] if subjects.labels else None,
            prompt=subjects.prompts[0] if subjects.prompts else None,
            sampling=how,
            work=work,
        )

    def refuse_super_resolution(self) -> None:
        """Refuse a super-resolution run, which cannot sample without small images.

        Raises:
            InputError: the run is for super-resolution.
        """
        if self.config.upscaling is not None:
            raise InputError(
                "incompatible",
                f"{self.source} is a super-resolution run; use it with `ddpm upscale {self.source} small.png`",
            )

    def refuse_student(self, what: str) -> None:
        """Refuse a student, whose few steps do not approximate a diffusion process.

        Args:
            what: What a student does not support.

        Raises:
            InputError: the run is a student.
        """
        taught = self.config.distillation
        if taught is not None:
            raise InputError(
                "incompatible",
                f"{self.source} is a {self.config.student}, which does not support {what}; "
                f"use {taught.teacher} instead",
            )

    def prepared(self, how: SamplingConfig) -> Self:
        """Load everything that the settings need, once for many batches, and return the run with it.

        Raises:
            InputError: what to guide with, an earlier version or a classifier, is missing, or its weights differ from
                those of the settings.
        """
        have, wanted = self.classifier, how.classifier
        if wanted is not None and (have is None or wanted.weights not in (None, have.weights)):
            return replace(self, classifier=self.own_classifier(wanted.weights)).prepared(how)
        guide = None if how.guidance is None else how.guidance.guide
        if guide is None or (self.weak is not None and self.weak[0] == guide.weights):
            return self
        model = autoguidance.model_of(guide, self.source, self.engine.model)
        return replace(self, weak=(guide.weights, model))

    def own_classifier(self, weights: str | None = None) -> Classifier:
        """Return the run's classifier; if weights are given, only with these."""
        found = self.classifier or load_classifier(RunFolder.open(self.source), self.config, self.engine.device)
        if weights not in (None, found.weights):
            raise InputError(
                "incompatible", f"the weights of the classifier of {self.source} have changed; restore a backup"
            )
        return found

    def guides(self, how: SamplingConfig, subjects: Subjects) -> Guides:
        """Return the guides for images with these labels and prompts: away from no condition, or from negative ones."""
        run, towards = self.prepared(how), None
        given, away, labels = self.engine.given(how, 1), None, subjects.labels
        if (given or self.conditions(subjects.rows([0]) if subjects else NOTHING)) and not self.learned_guidance:
            negative = self._negative(how)
            away = {**given, **self.conditions(negative)} if negative else {}
        if how.classifier is not None:
            assert run.classifier is not None
            assert labels
            classifier, scale, device = run.classifier, how.classifier.scale, self.engine.device

            def towards(at: Sequence[int]) -> Direction:
                return classifier.towards([labels[i] for i in at], scale, device)

        guided = how.guidance is not None and how.guidance.guide is not None
        weak = run.weak[1] if guided and run.weak is not None else None
        between = None
        if how.guidance is not None and how.guidance.label_scale is not None and labels and subjects.prompts:
            # with the negative prompt, so that equal scales in both stages act as one
            negative_prompt = how.guidance.negative_prompt
            away_prompts = None if negative_prompt is None else (negative_prompt,) * len(labels)
            between = self.conditions(Subjects(labels, away_prompts))
        return Guides(away, weak, towards, between=between)

    def _negative(self, how: SamplingConfig) -> Subjects:
        """Return the label and the prompt to guide away from."""
        guidance = how.guidance
        if guidance is None:
            return NOTHING
        labels = None if guidance.negative is None else (self.classes.index(guidance.negative),)
        return Subjects(labels, None if guidance.negative_prompt is None else (guidance.negative_prompt,))

    def draw(
        self,
        how: SamplingConfig,
        subjects: Subjects,
        seed: int,
        indices: Sequence[int],
        progress: Progress = silent,
        watch: Callable[[Moment], None] | None = None,
        task: Tasks | None = None,
    ) -> Pixels:
        """Sample one batch of images of a seed, (len(indices), H, W, C) uint8; see :meth:`Diffusion.draw`."""
        rows = rows_of(seed, indices)
        conditions, guides = self.conditions(subjects), self.guides(how, subjects)
        return self.engine.draw(how, rows, conditions, guides, task=task, progress=progress, watch=watch)

    def draws(
        self,
        how: SamplingConfig,
        subjects: Subjects,
        seed: int,
        indices: Sequence[int],
        *,
        batch: int = 64,
        progress: Progress = silent,
        watch: Callable[[Moment], None] | None = None,
    ) -> Iterator[Pixels]:
        """Yield images one by one, (H, W, C) uint8, sampled in batches; see :meth:`Diffusion.draws`.

        Raises:
            InputError: batch is below 1.
        """
        if batch < 1:
            raise InputError("invalid", f"batch is {batch}; use at least 1")
        run, rows = self.prepared(how), rows_of(seed, indices)
        conditions, guides = run.conditions(subjects), run.guides(how, subjects)
        return run.engine.draws(how, rows, conditions, guides, batch=batch, progress=progress, watch=watch)
