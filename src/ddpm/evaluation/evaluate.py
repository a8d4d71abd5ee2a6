"""A run or a folder of images in, a score out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import PartialState

from ddpm import build
from ddpm.config.sampling import SamplingConfig
from ddpm.data.cache import prepare
from ddpm.data.open import open_source
from ddpm.engine.loading import load
from ddpm.engine.options import refuse_idle, settings
from ddpm.engine.run import LoadedRun
from ddpm.evaluation.drawn import SHARD, SampleRecipe, SampleStore
from ddpm.evaluation.measure import Generated, content_hash, copies, measure
from ddpm.evaluation.pictures import closest, first
from ddpm.evaluation.reference import FEWEST, Real, Training, real, training
from ddpm.evaluation.shares import shares_of
from ddpm.images.geometry import Geometry
from ddpm.metrics.features import Extractor
from ddpm.metrics.memorisation import TooFew
from ddpm.records.run_folder import RunFolder
from ddpm.records.score import FILE as SCORE
from ddpm.records.score import Measurement, Memorisation, Samples, Score
from ddpm.system.device import device_of
from ddpm.system.errors import InputError
from ddpm.system.files import write_file
from ddpm.system.names import Fit
from ddpm.system.progress import Progress, doing, silent
from ddpm.training.log import training_seconds

SHEET = "grid.png"
"""All pictures of a `ddpm sample` on one, in the same folder: no sample."""
PATIENCE = timedelta(days=7)
"""How long a process waits for the others: after an interrupt, one of them may have all that is missing to draw."""


@dataclass(frozen=True)
class Ask:
    """How to measure.

    Attributes:
        data: the real images; None takes all of the source that the run was trained on.
        training: the images that a folder's generator was trained on, in which copies are looked for; the real ones if
            None. A run knows its own.
        n: images to generate; of a folder, all of it.
        features: a name in ``build.FEATURES``.
        weights: their file or name, where they do not come with the package.
        seed: of the samples.
        batch: samples in memory at a time, up to 64.
        sampling: keys of ``SamplingConfig``, where they shall differ from the run's own.
        fit: for real images of another shape.
        skip_bad: go on without images that cannot be read.
        device: cpu, cuda, mps; None takes the best there is.
    """

    data: str | None = None
    training: str | None = None
    n: int = 2000
    features: str = "embedded"
    weights: str | None = None
    seed: int = 0
    batch: int = 64
    sampling: Mapping[str, Any] = field(default_factory=dict)
    fit: Fit = "crop"
    skip_bad: bool = False
    device: str | None = None


@dataclass(frozen=True)
class Evaluated:
    """A score and where it is.

    Attributes:
        folder: of a run's score, with its pictures; None for a score of a folder of images.
        closest: a PNG of the pairs nearest to copies, if they were looked for.
    """

    score: Score
    folder: Path | None
    closest: bytes | None


def evaluate(what: str | Path, data: str | None = None, **asked: Any) -> Score:
    """The score of a run, a checkpoint or a folder of images: what ``ddpm evaluate`` prints, from Python.

    Args:
        what: a run's score is written into its folder, too.
        data: the real images; a folder of images needs them.
        asked: any other attribute of :class:`Ask`.

    Raises:
        InputError: something asked for cannot be had.
    """
    path, ask = Path(what), Ask(data=data, **asked)
    if RunFolder.of(path) is None:
        return evaluate_folder(str(what), ask, None, None, silent).score
    done = evaluate_run(path, ask, silent)
    if done is None:
        raise InputError("only the main process has the score; use evaluate_run in a distributed program")
    return done.score


def evaluate_run(path: Path, ask: Ask, progress: Progress) -> Evaluated | None:
    """Draw samples from a run or a checkpoint, where they are not drawn yet, and measure them.

    Every process of a distributed start draws a part of the samples; the main one measures.

    Returns:
        The score, which is then in the run folder; None in other processes than the main one.

    Raises:
        InputError: something asked for cannot be had.
    """
    if ask.n < FEWEST:
        raise InputError(f"-n {ask.n} is too few to measure; give at least {FEWEST}")
    if not 1 <= ask.batch <= SHARD:
        raise InputError(f"batch must be between 1 and {SHARD}, the samples of a file, not {ask.batch}")
    state = PartialState(cpu=device_of(ask.device).type == "cpu", timeout=PATIENCE)
    run = RunFolder.open(path)
    loaded = load(path, str(state.device) if state.num_processes > 1 else ask.device)
    how = _settings(loaded, ask)
    loaded = loaded.prepared(how)
    with state.main_process_first():  # what is fetched or read for the first time
        extractor = build.build_features(ask.features, ask.weights, loaded.config.data.size, loaded.engine.device)
        known, lost = _training(loaded, progress)
        reference = _reference(ask, loaded, lost, progress)
    shares, missing = shares_of(loaded.classes, reference.data)
    recipe = SampleRecipe(loaded.weights, how, ask.seed, shares)
    data = loaded.config.data
    drawn = SampleStore(run.drawn / recipe.key, ask.n, (*data.size, len(data.mode)))
    mine = [k for k in drawn.missing() if k % state.num_processes == state.process_index]
    for _ in drawn.draw(loaded, recipe, mine, ask.batch, doing(progress, "sampling")):
        pass
    state.wait_for_everyone()
    if not state.is_main_process:
        return None
    labels = recipe.labels(np.arange(ask.n))
    seen = images_seen(run, loaded)
    samples = Samples(
        source=str(path),
        hash=content_hash(drawn),
        weights=loaded.weights,
        images_seen=seen,
        seconds=training_seconds(run.log, seen),
        seed=ask.seed,
        labels="reference" if shares else None,
        sampling=how,
    )
    generated = Generated(
        drawn,
        samples,
        [f"seed {ask.seed}, image {i}" for i in range(ask.n)],
        None if labels is None else [loaded.classes[c] for c in labels],
    )
    notes = missing if known else (f"copies were not looked for: {lost}", *missing)
    score = _score(generated, reference, extractor, known, notes, progress)
    folder = run.evaluations / _name(run, how, ask.seed, score.measure, loaded.weights)
    pairs = closest(score.memorisation, drawn, known.seen) if known and score.memorisation else None
    write_file(folder / "sheet.png", first(drawn))
    if pairs is not None:
        write_file(folder / "closest.png", pairs)
    score.write(folder / SCORE)
    return Evaluated(score, folder, pairs)


def evaluate_folder(source: str, ask: Ask, size: tuple[int, int] | None, mode: Any, progress: Progress) -> Evaluated:
    """Measure images that are there already.

    Args:
        source: a folder, a .zip, an .npz.
        size, mode: what all images are brought to; None takes the generated ones as they are, if they are alike.

    Raises:
        InputError: the images cannot be read, or differ in size or mode.
    """
    listed = open_source(source).without(SHEET)
    if ask.data is None:
        raise InputError(f"{source} is a set of images: give the real ones to measure it against by --data")
    images = prepare(
        listed,
        Geometry(size, mode, ask.fit),
        skip_bad=ask.skip_bad,
        progress=doing(progress, "reading the samples"),
    )
    geometry = Geometry(images.shape[:2], images.mode, ask.fit)
    reference = real(ask.data, geometry, skip_bad=ask.skip_bad, progress=doing(progress, "reading the reference"))
    extractor = build.build_features(ask.features, ask.weights, images.shape[:2], device_of(ask.device))
    none = reference.data.subset(np.arange(0))
    known = Training(reference.source, reference.data, none)
    if ask.training is not None:
        seen = real(ask.training, geometry, skip_bad=ask.skip_bad, progress=doing(progress, "reading"))
        known = Training(
            seen.source, seen.data, none if seen.data.fingerprint == reference.data.fingerprint else reference.data
        )
    labels = None if images.labels is None else [images.classes[c] for c in images.labels]
    generated = Generated(images, Samples(source=source, hash=content_hash(images)), images.names, labels)
    score = _score(generated, reference, extractor, known, (), progress)
    pairs = closest(score.memorisation, images, known.seen) if score.memorisation else None
    return Evaluated(score, None, pairs)


def _score(
    generated: Generated,
    reference: Real,
    extractor: Extractor,
    known: Training | None,
    notes: tuple[str, ...],
    progress: Progress,
) -> Score:
    found = measure(generated, reference, extractor, progress)
    memorised: Memorisation | None = None
    try:
        memorised = copies(generated, known, progress) if known is not None else None
    except TooFew as e:
        notes = (*notes, f"copies were not looked for: {e}")
    return found.model_copy(
        update={
            "memorisation": memorised,
            "copy_rate": memorised.rate.value if memorised else None,
            "notes": (*reference.notes, *notes, *found.notes),
        }
    )


def _settings(loaded: LoadedRun, ask: Ask) -> SamplingConfig:
    """How to sample, refused before anything is read or drawn where it cannot be done."""
    how = settings(loaded, dict(ask.sampling))
    loaded.engine.grid(how)
    loaded = loaded.prepared(how)
    refuse_idle(loaded, dict(ask.sampling), how, labelled=bool(loaded.classes))
    return how


def _training(loaded: LoadedRun, progress: Progress) -> tuple[Training | None, str | None]:
    """The images that a run was trained on, or why they cannot be had."""
    try:
        return training(loaded.config, doing(progress, "reading the training images")), None
    except InputError as e:
        return None, f"the training images cannot be had ({e})"


def _reference(ask: Ask, loaded: LoadedRun, lost: str | None, progress: Progress) -> Real:
    data = loaded.config.data
    if ask.data is None and lost is not None:
        raise InputError(f"{lost}; give real images by --data")
    return real(
        data.source if ask.data is None else ask.data,
        Geometry(data.size, data.mode, data.fit if ask.data is None else ask.fit),
        skip_bad=data.skip_bad if ask.data is None else ask.skip_bad,
        progress=doing(progress, "reading the reference"),
    )


def images_seen(run: RunFolder, loaded: LoadedRun) -> int | None:
    """Images that the weights were trained on; None where the run's checkpoints are gone."""
    steps = run.steps()
    return None if steps is None else steps * loaded.config.training.batch


def _name(run: RunFolder, how: SamplingConfig, seed: int, measure: Measurement, weights: str) -> str:
    """A folder for this score and no other."""
    sampling = how.model_dump_json(exclude_none=True)
    key = sha256(f"{weights} {sampling} {seed} {measure.model_dump_json()}".encode()).hexdigest()[:6]
    sampled = f"{how.short}-guidance{how.guidance_scale:g}-seed{seed}-n{measure.n}"
    return f"{run.stage}{sampled}-{measure.features.name}-{key}"
