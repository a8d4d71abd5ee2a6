"""Measure how well a run follows captions, by its own denoising error."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ddpm import build
from ddpm.core.condition import Conditions
from ddpm.core.stream import Stream
from ddpm.data.dataset import Dataset, Ints
from ddpm.engine.loading import load
from ddpm.engine.run import LoadedRun
from ddpm.engine.subjects import Subjects
from ddpm.evaluation.options import EvaluationOptions
from ddpm.evaluation.reference import Real, held_out, reference
from ddpm.metrics.estimate import interval, resamples, wilson
from ddpm.records.alignment import AlignmentRecord, LevelLoss, Retrieval
from ddpm.records.score import ReferenceRecord
from ddpm.system.errors import InputError
from ddpm.system.progress import Progress, doing, silent
from ddpm.text.weighting import escape

LEVELS, GROUPED = 8, 2
"""The number of noise levels, evenly spread over the timesteps, and how many of them make a group."""
AMONG = 10
"""The number of captions that the right one is found among."""
FEWEST, N, SAMPLES = 16, 256, 100
"""The fewest captioned images, and the default numbers of these and of samples."""
REPLICATES = 1000
BATCH = 64


@dataclass(frozen=True)
class _Errors:
    """The denoising error of images under captions, with the same noise whatever the caption."""

    loaded: LoadedRun
    seed: int

    @torch.no_grad()
    def __call__(self, images: Dataset, captions: Sequence[str] | None) -> torch.Tensor:
        """The loss of each image at each level, (LEVELS, N) float64, from low to high noise; None for null captions."""
        engine, device = self.loaded.engine, self.loaded.engine.device
        objective = build.build_objective(self.loaded.config, engine.codec)
        rows = []
        for _, draws in objective.held_out(self.seed, len(images), LEVELS):
            parts = []
            for first in range(0, len(images), BATCH):
                part = slice(first, min(first + BATCH, len(images)))
                pixels = torch.from_numpy(images.read(np.arange(part.start, part.stop))).to(device)
                raw = self._conditions(images, part, captions)
                conditions = {kind: values.to(device) for kind, values in raw.items()}
                parts.append(objective.losses(engine.model, pixels, conditions, draws.part(part)).double().cpu())
            rows.append(torch.cat(parts))
        return torch.stack(rows)

    def _conditions(self, images: Dataset, part: slice, captions: Sequence[str] | None) -> Conditions:
        labels = None if images.labels is None else tuple(images.labels[part].tolist())
        return self.loaded.conditions(Subjects(labels, None if captions is None else tuple(captions[part])))


def measure_alignment(
    path: Path, options: EvaluationOptions, progress: Progress = silent, samples: int = SAMPLES
) -> AlignmentRecord:
    """Compare the loss with the right captions to that with others, and find the captions of samples.

    The loss is the run's own, at levels and with noise that are the same for all captions. A caption that is right
    helps to denoise, so its loss is lower (Li et al. 2023, eq. 4).

    Args:
        options: the captioned images, by default those held out; their number, at most 256 if None.
        samples: the number of samples to find the captions of; 0 for none.

    Raises:
        InputError: the run was trained without captions, or there are too few captioned images.
    """
    loaded = load(path, options.device)
    loaded.refuse_given()
    loaded.refuse_student("a loss by noise level")
    if loaded.text is None:
        raise InputError("incompatible", f"{path} was trained without captions; train a run on images with captions")
    own = options.data is None
    found = _held_out(loaded, progress) if own else reference(options, loaded.config.data, progress)
    images = captioned(found, N if options.n is None else options.n, options.seed)
    if loaded.config.data.classes != images.classes:
        images = replace(images, labels=None, classes=())
    errors, captions = _Errors(loaded, options.seed), _first(images)
    report = doing(progress, "losses")
    right = errors(images, captions)
    report(1, 3)
    null = errors(images, None)
    report(2, 3)
    wrong = errors(images, shuffled(captions))
    report(3, 3)
    counts = resamples(len(images), REPLICATES).double()
    timesteps = [t for t, _ in build.build_objective(loaded.config, loaded.engine.codec).held_out(0, 1, LEVELS)]
    levels = []
    for first in range(0, LEVELS, GROUPED):
        group = slice(first, first + GROUPED)
        base, *others = (part[group].mean(0) for part in (right, null, wrong))
        rises = []
        for other in others:
            # a ratio of means, resampled over the images
            spread = (counts @ (other - base)) / (counts @ base)
            rises.append(interval(float((other - base).mean() / base.mean()), spread))
        levels.append(
            LevelLoss(
                first=timesteps[first],
                last=timesteps[group.stop - 1],
                right=float(base.mean()),
                null=rises[0],
                shuffled=rises[1],
            )
        )
    return AlignmentRecord(
        weights=loaded.weights,
        seed=options.seed,
        n=len(images),
        held_out=own,
        reference=ReferenceRecord.of(found.source, images),
        levels=tuple(levels),
        retrieval=_retrieval(errors, images, _first(found.data), samples, progress) if samples else None,
        sampling=loaded.sampling,
    )


def captioned(found: Real, n: int, seed: int) -> Dataset:
    """At most n of the images that have captions, drawn at random.

    Raises:
        InputError: there are too few.
    """
    data = found.data
    having = np.flatnonzero([bool(caption) for caption in data.captions or ()])
    if len(having) < FEWEST or len(set(_first(data.subset(having)))) < AMONG:
        raise InputError(
            "invalid",
            f"{found.source} has {len(having)} images with captions, too few to measure; use at least {FEWEST}, with "
            f"{AMONG} different captions",
        )
    if n < FEWEST:
        raise InputError("invalid", f"-n {n} is too few to measure; use at least {FEWEST}")
    return data.subset(having[Stream(seed, "captioned", len(having)).permutation(len(having))[:n].numpy()])


def shuffled(captions: Sequence[str]) -> list[str]:
    """For each image the caption of another one that differs from its own."""
    n = len(captions)
    return [next(other for k in range(1, n) if (other := captions[(i + k) % n]) != captions[i]) for i in range(n)]


def candidates(captions: Sequence[str], others: Sequence[str], among: int, seed: int) -> list[list[str]]:
    """For each image its own caption, followed by ``among - 1`` different ones of others, at random."""
    known = sorted({*others} - {""})
    found = []
    for i, own in enumerate(captions):
        order: Ints = Stream(seed, "candidates", i).permutation(len(known)).numpy()
        found.append([own, *[known[k] for k in order if known[k] != own][: among - 1]])
    return found


def _retrieval(errors: _Errors, images: Dataset, others: Sequence[str], n: int, progress: Progress) -> Retrieval:
    """Find the captions of samples drawn from the captions of images, and of these images."""
    loaded, some = errors.loaded, images.subset(np.arange(n) % len(images))
    captions, labels = _first(some), None if some.labels is None else tuple(some.labels.tolist())
    how, subjects = loaded.sampling, Subjects(labels, tuple(captions))
    drawn = loaded.draws(how, subjects, errors.seed, range(n), progress=doing(progress, "sampling"))
    made = replace(Dataset(np.stack(list(drawn))), labels=some.labels, classes=some.classes)
    among = candidates(captions, others, AMONG, errors.seed)
    shares = []
    for which, data in (("samples", made), ("images", some)):
        report, losses = doing(progress, f"captions of {which}"), []
        for k in range(AMONG):
            losses.append(errors(data, [each[k] for each in among]).mean(0))
            report(k + 1, AMONG)
        hits = float((torch.stack(losses).argmin(0) == 0).double().mean())
        shares.append(wilson(hits, n))
    return Retrieval(n=n, among=AMONG, drawn=shares[0], real=shares[1])


def _held_out(loaded: LoadedRun, progress: Progress) -> Real:
    return Real(loaded.config.data.source, held_out(loaded.config, doing(progress, "reading")))


def _first(data: Dataset) -> list[str]:
    """The first caption of each image, as a prompt."""
    return [escape(caption.split("\n")[0]) for caption in data.captions or ()]
