"""Measure how well a run follows captions: by its own loss, and by a CLIP model."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ddpm.core.stream import Stream
from ddpm.data.columns import Ints
from ddpm.data.dataset import Dataset
from ddpm.engine.loading import load
from ddpm.engine.run import LoadedRun
from ddpm.engine.subjects import Subjects
from ddpm.evaluation.caption_losses import (
    CaptionLosses,
    first_captions,
    most_others,
    others,
    share_found,
    wrong_captions,
)
from ddpm.evaluation.options import EvaluationOptions
from ddpm.evaluation.reference import Real, held_out, reference
from ddpm.images.pixels import Pixels
from ddpm.images.prompted import prompted
from ddpm.images.sheets import png
from ddpm.metrics.clip_score import Clip, clip_score, load_clip
from ddpm.metrics.estimate import interval, resamples, wilson
from ddpm.records.alignment import AlignmentRecord, ClipScore, LevelLoss, Retrieval
from ddpm.records.score import ReferenceRecord
from ddpm.system.errors import InputError
from ddpm.system.names import listed
from ddpm.system.progress import Progress, doing, silent
from ddpm.text.weighting import escape

LEVELS, GROUPED = 8, 2
"""The number of noise levels, evenly spread over the timesteps, and how many of them make a group."""
AMONG = 10
"""The number of captions that the right one is found among, if there are that many."""
FEWEST, N, SAMPLES = 16, 256, 100
"""The fewest captioned images, and the default numbers of these and of samples."""
REPLICATES = 1000
PROMPTS, SEEDS = 8, 4
"""The most rows, and the columns, of the sheet of samples."""


def measure_alignment(
    path: Path,
    options: EvaluationOptions,
    progress: Progress = silent,
    samples: int = SAMPLES,
    clip: str | None = None,
) -> tuple[AlignmentRecord, bytes | None]:
    """Compare the loss with the right captions to that with others, and find the captions of samples.

    The loss is the run's own, at levels and with noise that are the same for all captions. A caption that is right
    helps to denoise, so its loss is lower, which makes the model a classifier of captions (Li et al. 2023, sec. 3).

    Args:
        options: the captioned images, by default those held out; their number, at most 256 if None.
        samples: the number of samples to find the captions of; 0 for none.
        clip: the folder of a CLIP model to compare samples and captions by; None for none.

    Returns:
        The record, and a PNG of samples by prompt; None without samples.

    Raises:
        InputError: the run was trained without captions, there are too few captioned images, or the CLIP model cannot
            be loaded.
    """
    n = N if options.n is None else options.n
    for flag, given, fewest in (("-n", n, FEWEST), ("--samples", samples, 0)):
        if given < fewest:
            raise InputError("invalid", f"{flag} {given} is too few; use at least {fewest}")
    if clip is not None and not samples:
        raise InputError("conflict", "--clip scores samples, but there are none; drop --samples 0")
    loaded = load(path, options.device)
    loaded.refuse_super_resolution()
    loaded.refuse_student("a loss by noise level")
    if loaded.config.inpainting:
        raise InputError("incompatible", f"{path} is conditioned on masks, and has no loss by caption alone")
    if loaded.text is None:
        raise InputError("incompatible", f"{path} was trained without captions; train a run on images with captions")
    judge = None if clip is None else load_clip(clip, loaded.engine.device)
    found, pool = _captioned(loaded, options, progress)
    order = Stream(options.seed, "captioned", len(found.data)).permutation(len(found.data))[:n].numpy()
    images = _labelled(loaded, found.data.subset(order))
    losses = CaptionLosses(loaded, options.seed, LEVELS)
    retrieval, score, sheet = None, None, None
    prompts: tuple[str, ...] = ()
    levels = _levels(losses, images, pool, doing(progress, "losses"))
    if samples:
        some = images.subset(np.arange(samples) % len(images))
        drawn = _drawn(loaded, some, options.seed, np.arange(samples), doing(progress, "sampling"))
        real = images.subset(np.arange(min(samples, len(images))))
        made = replace(Dataset(drawn), labels=some.labels, captions=some.captions)
        retrieval = _retrieval(losses, made, real, pool, progress)
        score = None if judge is None or clip is None else _clip_score(judge, clip, made, real)
        rows, prompts = _first_of_each(images)
        columns = np.tile(np.arange(SEEDS), len(rows))
        shown = _drawn(
            loaded, images.subset(rows.repeat(SEEDS)), options.seed, columns, doing(progress, "drawing the sheet")
        )
        sheet = png(prompted(shown, prompts))
    record = AlignmentRecord(
        weights=loaded.weights,
        seed=options.seed,
        n=len(images),
        held_out=options.data is None,
        labels=images.labels is not None,
        reference=ReferenceRecord.of(found.source, images),
        levels=levels,
        retrieval=retrieval,
        sampling=loaded.sampling,
        clip=score,
        prompts=prompts,
    )
    return record, sheet


def _captioned(loaded: LoadedRun, options: EvaluationOptions, progress: Progress) -> tuple[Real, list[str]]:
    """Load the images that have captions, and the first caption of each.

    Raises:
        InputError: there are too few, or they have too few different captions.
    """
    config, report = loaded.config, doing(progress, "reading")
    if options.data is None:
        found = Real(config.data.source, held_out(config, report))
        what, fix = f"{loaded.source} holds out", "pass others with --data"
    else:
        found = reference(options, config.data, report)
        what, fix = f"{options.data} has", "use others"
    having = np.flatnonzero([bool(caption) for caption in found.data.captions or ()])
    data = found.data.subset(having)
    pool = first_captions(data)
    if len(data) < FEWEST or most_others(data, pool) < 1:
        different = f" with {len(set(pool)):,} different captions" if len(data) else ""
        raise InputError(
            "invalid",
            f"{what} {len(data)} captioned images{different}, too few to measure; {fix}: at least {FEWEST}, with 2 "
            "different captions",
        )
    return replace(found, data=data), pool


def _labelled(loaded: LoadedRun, data: Dataset) -> Dataset:
    """The images with numbers of the run's classes as labels; without labels if one of them has no such class.

    Raises:
        InputError: the run cannot do without labels.
    """
    if data.labels is not None and loaded.learned_labels and {*data.classes} <= {*loaded.classes}:
        numbers: Ints = np.array([loaded.classes.index(name) for name in data.classes])
        return replace(data, labels=numbers[np.asarray(data.labels)], classes=loaded.classes)
    if loaded.needs_label:
        raise InputError(
            "incompatible",
            f"{loaded.source} was trained only with labels; use images of its classes {listed(loaded.classes)}",
        )
    return replace(data, labels=None, classes=())


def _levels(losses: CaptionLosses, images: Dataset, pool: list[str], progress: Progress) -> tuple[LevelLoss, ...]:
    """The losses with right, wrong and null captions, from low to high noise."""
    counts, timesteps = resamples(len(images), REPLICATES).double(), losses.timesteps
    each: list[list[str] | None] = [first_captions(images), wrong_captions(images, pool, losses.seed)]
    each += [] if losses.loaded.needs_prompt else [None]
    # (captions, levels, N) -> (captions, groups, N)
    grouped = losses(images, each, progress).reshape(len(each), -1, GROUPED, len(images)).mean(2)
    found = []
    for group, (right, *wrong) in enumerate(grouped.transpose(0, 1)):
        # a ratio of means, resampled over the images
        rises = [
            interval(float((other - right).mean() / right.mean()), (counts @ (other - right)) / (counts @ right))
            for other in wrong
        ]
        own = timesteps[group * GROUPED : (group + 1) * GROUPED]
        ends = {"first": own[0], "last": own[-1]}
        null = rises[1] if len(rises) > 1 else None
        found.append(LevelLoss(**ends, right=float(right.mean()), null=null, shuffled=rises[0]))
    return tuple(found)


def _drawn(loaded: LoadedRun, data: Dataset, seed: int, indices: Ints, progress: Progress) -> Pixels:
    """Samples of the captions and labels of images, (N, H, W, C) uint8."""
    labels = None if data.labels is None else tuple(np.asarray(data.labels).tolist())
    subjects = Subjects(labels, tuple(map(escape, first_captions(data))))
    return np.stack(list(loaded.draws(loaded.sampling, subjects, seed, indices.tolist(), progress=progress)))


def _retrieval(losses: CaptionLosses, made: Dataset, real: Dataset, pool: list[str], progress: Progress) -> Retrieval:
    """Find the captions of samples, and of images."""
    among = min(AMONG, 1 + most_others(made, pool))
    shares = []
    for what, data in (("captions of samples", made), ("captions of images", real)):
        wrong = others(data, pool, among - 1, losses.seed)
        each = [first_captions(data), *(list(column) for column in zip(*wrong, strict=True))]
        shares.append(wilson(share_found(losses(data, each, doing(progress, what)).mean(1)), len(data)))
    return Retrieval(among=among, samples=len(made), images=len(real), drawn=shares[0], real=shares[1])


def _clip_score(judge: Clip, folder: str, made: Dataset, real: Dataset) -> ClipScore:
    """Score samples and images with their captions."""
    drawn, theirs = (
        clip_score(judge.cosines(torch.from_numpy(data.images), first_captions(data))) for data in (made, real)
    )
    return ClipScore(folder=folder, hash=judge.images.hash, drawn=drawn, real=theirs)


def _first_of_each(data: Dataset) -> tuple[Ints, tuple[str, ...]]:
    """The indices and the captions of the first images with different ones."""
    first: dict[str, int] = {}
    for i, caption in enumerate(first_captions(data)):
        first.setdefault(caption, i)
    chosen = list(first.items())[:PROMPTS]
    return np.array([i for _, i in chosen]), tuple(caption for caption, _ in chosen)
