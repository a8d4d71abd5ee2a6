"""Score a run or a folder of images."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from ddpm import build
from ddpm.config.sampling import SamplingConfig
from ddpm.data.cache import prepare
from ddpm.data.dataset import Dataset
from ddpm.data.open import open_source
from ddpm.engine.options import refuse_idle, refuse_null, settings
from ddpm.engine.run import LoadedRun
from ddpm.evaluation.drawn import SHARD, SampleRecipe, SampleStore, of_each_kind, prompts_of, proportions_of
from ddpm.evaluation.launch import batch_within, launch
from ddpm.evaluation.measure import content_hash, copies, measure
from ddpm.evaluation.options import EvaluationOptions
from ddpm.evaluation.pictures import closest, first
from ddpm.evaluation.reference import FEWEST, real, reference, training
from ddpm.images.geometry import Geometry
from ddpm.metrics.memorisation import TooFew
from ddpm.records.run_folder import RunFolder
from ddpm.records.score import CLOSEST, SHEET, Measurement, Memorisation, Samples, Score
from ddpm.records.score import FILE as SCORE
from ddpm.system.arguments import checked
from ddpm.system.device import device_of
from ddpm.system.errors import InputError
from ddpm.system.files import write_file
from ddpm.system.names import Mode
from ddpm.system.progress import Progress, doing, silent
from ddpm.training.log import training_seconds

N = 2000
"""Samples to draw by default."""
GRID = "grid.png"
"""The sheet that `ddpm sample` writes next to its pictures: not a sample."""


def evaluate(what: str | Path, data: str | None = None, **asked: Any) -> Score:
    """Score a run, a checkpoint or a folder of images, as ``ddpm evaluate`` does.

    Args:
        what: the run, checkpoint or folder; the score of a run is also written to its folder.
        data: the real images; required for a folder of images.
        asked: any other attribute of :class:`EvaluationOptions`, and any other argument of :func:`evaluate_run` or
            :func:`evaluate_folder`.

    Raises:
        InputError: an argument cannot be used.
    """
    asked = checked(asked)
    path, own = Path(what), {field.name for field in fields(EvaluationOptions)}
    options = EvaluationOptions(data, **{name: value for name, value in asked.items() if name in own})
    further = {name: value for name, value in asked.items() if name not in own}
    if RunFolder.of(path) is None:
        return evaluate_folder(str(what), options, silent, **further)[0]
    done = evaluate_run(path, options, silent, **further)
    if done is None:
        raise InputError("invalid", "only the main process has the score; use evaluate_run in a distributed program")
    return done[0]


def evaluate_run(
    path: Path,
    options: EvaluationOptions,
    progress: Progress,
    sampling: Mapping[str, Any] | None = None,
    features: str = "embedded",
    weights: str | None = None,
) -> tuple[Score, Path] | None:
    """Draw the samples of a run or a checkpoint that are not on disk yet, and measure all of them.

    In a distributed launch, every process draws part of the samples, and the main one measures.

    Args:
        sampling: keys of ``SamplingConfig`` that override the run's own.
        features: a name in ``build.OWN_FEATURES`` or ``build.FEATURES``.
        weights: their file or name, if the package does not include them.

    Returns:
        The score, and its folder in the run folder, which also holds pictures; None except in the main process.

    Raises:
        InputError: an argument cannot be used.
    """
    n = N if options.n is None else options.n
    if n < FEWEST:
        raise InputError("invalid", f"-n {n} is too few to measure; use at least {FEWEST}")
    batch = batch_within(options, SHARD, "samples")
    state, run, loaded = launch(path, options.device)
    asked = dict(sampling or {})
    how = settings(loaded, asked)
    loaded.engine.grid(how)  # unusable settings are refused before anything is read or drawn
    loaded = loaded.prepared(how)
    refuse_null(loaded, how, of_each_kind(loaded))
    refuse_idle(loaded, asked, how, of_each_kind(loaded))
    with state.main_process_first():  # downloads and reads into the cache only once
        extractor = build.build_features(features, weights, loaded.config.data.size, loaded.engine.device)
        known, lost = _training(loaded, progress)
        if options.data is None and lost:
            raise InputError("missing", f"{lost}; pass real images with --data")
        theirs = reference(options, loaded.config.data, doing(progress, "reading the reference"))
    proportions, missing = proportions_of(loaded.classes, theirs.data)
    prompts, uncaptioned = prompts_of(loaded, theirs.data)
    recipe = SampleRecipe(loaded.weights, how, options.seed, proportions, prompts)
    shown = recipe.subjects(np.arange(1))  # a reference without captions has no prompts
    refuse_null(loaded, how, shown)
    refuse_idle(loaded, asked, how, shown)
    data = loaded.config.data
    drawn = SampleStore(run.drawn / recipe.key, n, (*data.size, len(data.mode)))
    mine = [k for k in drawn.missing() if k % state.num_processes == state.process_index]
    for _ in drawn.draw(loaded, recipe, mine, batch, doing(progress, "sampling")):
        pass
    state.wait_for_everyone()
    if not state.is_main_process:
        return None
    labels = recipe.labels(np.arange(n))
    seen = images_seen(run, loaded)
    samples = Samples(
        source=str(path),
        hash=content_hash(drawn),
        weights=loaded.weights,
        images_seen=seen,
        seconds=training_seconds(run.log, seen),
        seed=options.seed,
        labels="reference" if proportions else None,
        prompts="reference" if prompts else None,
        sampling=how,
    )
    classes = None if labels is None else [loaded.classes[c] for c in labels]
    score = measure(drawn, samples, classes, theirs, extractor, progress)
    names = [f"seed {options.seed}, image {i}" for i in range(n)]
    search = partial(copies, drawn, names, data.source, *known, progress) if known else None
    unsearched = () if known else (f"no search for copies: {lost}",)
    score = _completed(score, (*theirs.notes, *unsearched, *missing, *uncaptioned), search)
    folder = run.evaluations / _name(run, how, options.seed, score.measure, loaded.weights)
    write_file(folder / SHEET, first(drawn))
    if known and score.memorisation:
        write_file(folder / CLOSEST, closest(score.memorisation, drawn, known[0]))
    score.write(folder / SCORE)
    return score, folder


def evaluate_folder(
    source: str,
    options: EvaluationOptions,
    progress: Progress,
    training: str | None = None,
    size: tuple[int, int] | None = None,
    mode: Mode | None = None,
    features: str = "embedded",
    weights: str | None = None,
) -> tuple[Score, bytes | None]:
    """Measure existing images.

    Args:
        source: a folder, a .zip, an .npz, .tar or .parquet files.
        training: the training images of their generator, for the search for copies; the real images if None.
        size, mode: the size and mode to convert all images to; None keeps those that all generated images share.
        features, weights: as in :func:`evaluate_run`.

    Returns:
        The score, and a PNG of the closest pairs if there was a search for copies.

    Raises:
        InputError: the images cannot be read, or differ in size or mode.
    """
    listed, fit, skip_bad = open_source(source).without(GRID), options.fit, options.skip_bad
    if options.data is None:
        raise InputError("conflict", f"the images in {source} need real images to compare with; pass some with --data")
    reading = doing(progress, "reading the samples")
    images = prepare(listed, Geometry(size, mode, fit), skip_bad=skip_bad, progress=reading)
    geometry = Geometry(images.shape[:2], images.mode, fit)
    theirs = real(options.data, geometry, skip_bad=skip_bad, progress=doing(progress, "reading the reference"))
    extractor = build.build_features(features, weights, images.shape[:2], device_of(options.device))
    seen, held_out = theirs, None
    if training is not None:
        seen = real(training, geometry, skip_bad=skip_bad, progress=doing(progress, "reading the training images"))
        held_out = None if seen.data.fingerprint == theirs.data.fingerprint else theirs.data
    labels = None if images.labels is None else [images.classes[c] for c in images.labels]
    samples = Samples(source=source, hash=content_hash(images))
    score = measure(images, samples, labels, theirs, extractor, progress)
    search = partial(copies, images, images.names, seen.source, seen.data, held_out, progress)
    score = _completed(score, theirs.notes, search)
    return score, closest(score.memorisation, images, seen.data) if score.memorisation else None


def _completed(score: Score, notes: tuple[str, ...], search: Callable[[], Memorisation] | None) -> Score:
    """Add further notes and the result of a search for copies."""
    found = None
    try:
        found = search() if search else None
    except TooFew as e:
        notes = (*notes, f"no search for copies: {e}")
    rate = found.rate.value if found else None
    return score.model_copy(update={"memorisation": found, "copy_rate": rate, "notes": (*notes, *score.notes)})


def _training(loaded: LoadedRun, progress: Progress) -> tuple[tuple[Dataset, Dataset] | None, str | None]:
    """Load the images that a run was trained on and those held out, or say why they are not available."""
    try:
        return training(loaded.config, doing(progress, "reading the training images")), None
    except InputError as e:
        return None, f"the training images are not available ({e})"


def images_seen(run: RunFolder, loaded: LoadedRun) -> int | None:
    """The number of images that the weights were trained on; None without the run's checkpoints."""
    steps = run.steps()
    return None if steps is None else steps * loaded.config.training.batch


def _name(run: RunFolder, how: SamplingConfig, seed: int, measure: Measurement, weights: str) -> str:
    """A folder name unique to this score."""
    sampling = how.model_dump_json(exclude_none=True)
    key = sha256(f"{weights} {sampling} {seed} {measure.model_dump_json()}".encode()).hexdigest()[:6]
    sampled = f"{how.short}-guidance{how.guidance_scale:g}-seed{seed}-n{measure.n}"
    return f"{run.stage}{sampled}-{measure.features.name}-{key}"
