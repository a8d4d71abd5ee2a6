"""A run or a folder of images in, a score out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import PartialState

from ddpm import __version__, build
from ddpm.config import SamplingConfig
from ddpm.data.cache import prepare
from ddpm.data.open import open_source
from ddpm.data.transform import Fit, Geometry
from ddpm.errors import InputError
from ddpm.evaluation.features import Extractor
from ddpm.pipeline import Pipeline, device_of, load, run_folder
from ddpm.score import FeaturesRecord, Measure, ReferenceRecord, Samples, Score
from ddpm.scoring.drawn import Drawn, Recipe
from ddpm.scoring.measure import NEIGHBOURS, Generated, Say, content_hash, copies, measure
from ddpm.scoring.pictures import closest, first
from ddpm.scoring.reference import FEWEST, Real, Training, real, training
from ddpm.training import checkpoint as checkpoints
from ddpm.training.log import training_seconds
from ddpm.training.storage import disk_errors, write_file

SCORED = "evaluations"
DRAWN = "samples"
"""Under "evaluations": what was drawn, for all scores of the same samples."""


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
        batch: samples in memory at a time.
        sampling: solver, steps, grid, eta, guidance, clip, where they shall differ from the run's own.
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
class Scored:
    """A score and where it is.

    Attributes:
        folder: of a run's score, with its pictures; None for a score of a folder of images.
        closest: a PNG of the pairs nearest to copies, if they were looked for.
    """

    score: Score
    folder: Path | None
    closest: bytes | None


def evaluate_run(path: Path, ask: Ask, say: Say) -> Scored | None:
    """Draw samples from a run or a checkpoint, where they are not drawn yet, and measure them.

    Every process of a distributed start draws a part of the samples; the main one measures.

    Returns:
        The score, which is then in the run folder; None in other processes than the main one.

    Raises:
        InputError: something asked for cannot be had.
    """
    state = PartialState(cpu=ask.device == "cpu")
    pipe = load(path, str(state.device) if state.num_processes > 1 else ask.device)
    extractor = build.build_features(ask.features, ask.weights, pipe.config.data.size, pipe.device)
    how = pipe.settings(dict(ask.sampling))
    if ask.n < FEWEST:
        raise InputError(f"-n {ask.n} is too few to measure; give at least {FEWEST}")
    with state.main_process_first():
        known, notes = _training(pipe, say)
        reference = _reference(ask, pipe, known, say)
    shares, missing = _shares(pipe, reference, known)
    recipe = Recipe(pipe.weights, how, ask.seed, shares)
    data = pipe.config.data
    home = run_folder(path) / SCORED
    drawn = Drawn(home / DRAWN / recipe.key, ask.n, (*data.size, len(data.mode)))
    mine = [k for k in drawn.missing() if k % state.num_processes == state.process_index]
    for _ in drawn.draw(pipe, recipe, mine, ask.batch, lambda i, of: say("sampling", i, of)):
        pass
    state.wait_for_everyone()
    if not state.is_main_process:
        return None
    labels = recipe.labels(np.arange(ask.n))
    generated = Generated(
        drawn,
        [f"seed {ask.seed}, image {i}" for i in range(ask.n)],
        None if labels is None else [pipe.classes[c] for c in labels],
    )
    seen = _images_seen(path, pipe)
    samples = Samples(
        source=str(path),
        hash=content_hash(drawn),
        weights=pipe.weights,
        images_seen=seen,
        seconds=training_seconds(run_folder(path) / "log.jsonl", seen),
        seed=ask.seed,
        labels="reference" if shares else None,
        sampling=how,
    )
    score = _score(generated, samples, reference, extractor, known, (*notes, *missing), say)
    folder = home / _name(how, ask.seed, score.measure, pipe.weights)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    pairs = closest(score.memorisation, drawn, known.seen) if known and score.memorisation else None
    write_file(folder / "sheet.png", first(drawn))
    if pairs is not None:
        write_file(folder / "closest.png", pairs)
    write_file(folder / "score.json", score.to_json().encode())
    return Scored(score, folder, pairs)


def evaluate_folder(source: str, ask: Ask, size: tuple[int, int] | None, mode: Any, say: Say) -> Scored:
    """Measure images that are there already.

    Args:
        source: a folder, a .zip, an .npz.
        size, mode: what all images are brought to; None takes the generated ones as they are, if they are alike.

    Raises:
        InputError: the images cannot be read, or differ in size or mode.
    """
    if ask.data is None:
        raise InputError(f"{source} is a set of images: give the real ones to measure it against by --data")
    images = prepare(
        open_source(source),
        Geometry(size, mode, ask.fit),
        skip_bad=ask.skip_bad,
        progress=lambda i, of: say("reading the samples", i, of),
    )
    geometry = Geometry(images.shape[:2], images.mode, ask.fit)
    reference = real(
        ask.data, geometry, skip_bad=ask.skip_bad, progress=lambda i, of: say("reading the reference", i, of)
    )
    extractor = build.build_features(ask.features, ask.weights, images.shape[:2], device_of(ask.device))
    known = Training(reference.source, reference.data, reference.data.subset(np.arange(0)))
    if ask.training is not None:
        seen = real(ask.training, geometry, skip_bad=ask.skip_bad, progress=lambda i, of: say("reading", i, of))
        known = Training(seen.source, seen.data, reference.data)
    labels = None if images.labels is None else [images.classes[c] for c in images.labels]
    generated = Generated(images, images.names, labels)
    samples = Samples(source=source, hash=content_hash(images))
    score = _score(generated, samples, reference, extractor, known, (), say)
    pairs = closest(score.memorisation, images, known.seen) if score.memorisation else None
    return Scored(score, None, pairs)


def _score(
    generated: Generated,
    samples: Samples,
    reference: Real,
    extractor: Extractor,
    known: Training | None,
    notes: tuple[str, ...],
    say: Say,
) -> Score:
    found = measure(generated, reference, extractor, say)
    memorised = copies(generated, known, say) if known is not None and len(known.seen) >= FEWEST else None
    height, width, _ = reference.data.shape
    return Score(
        made_by=f"ddpm {__version__}",
        measure=Measure(
            n=len(generated.images),
            features=FeaturesRecord(
                name=extractor.name, hash=extractor.hash, resize=extractor.resize, dim=extractor.dim
            ),
            reference=ReferenceRecord(source=reference.source, hash=reference.hash, images=len(reference.data)),
            size=(height, width),
            mode=reference.data.mode,
            neighbours=NEIGHBOURS,
        ),
        samples=samples,
        memorisation=memorised,
        copy_rate=memorised.rate.value if memorised else None,
        **found._replace(notes=(*notes, *found.notes))._asdict(),
    )


def _training(pipe: Pipeline, say: Say) -> tuple[Training | None, tuple[str, ...]]:
    """The images that a run was trained on, or a note on why copies of them cannot be looked for."""
    try:
        return training(pipe.config, lambda i, of: say("reading the training images", i, of)), ()
    except InputError as e:
        return None, (f"copies were not looked for, as the training images cannot be had: {e}",)


def _reference(ask: Ask, pipe: Pipeline, known: Training | None, say: Say) -> Real:
    data = pipe.config.data
    if ask.data is None and known is None:
        raise InputError(
            f"the images that {pipe.source} was trained on ({data.source}) are not there as they were; "
            "give real images by --data"
        )
    return real(
        data.source if ask.data is None else ask.data,
        Geometry(data.size, data.mode, data.fit if ask.data is None else ask.fit),
        skip_bad=data.skip_bad if ask.data is None else ask.skip_bad,
        progress=lambda i, of: say("reading the reference", i, of),
    )


def _shares(pipe: Pipeline, reference: Real, known: Training | None) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """The share of each class of the run among the reference's images, and notes on classes that do not match."""
    if not pipe.classes:
        return (), ()
    even = tuple(1 / len(pipe.classes) for _ in pipe.classes)
    data = reference.data
    if data.labels is None:
        return even, ("the reference has no classes: samples have all classes of the run in equal shares",)
    counts = dict(zip(data.classes, np.bincount(data.labels, minlength=len(data.classes)).tolist(), strict=True))
    found = [counts.get(name, 0) for name in pipe.classes]
    if not sum(found):
        return even, ("the reference has none of the run's classes: samples have all of them in equal shares",)
    notes = []
    if absent := [name for name, n in zip(pipe.classes, found, strict=True) if not n]:
        notes.append(f"the reference has no {', '.join(absent)}: no samples of these classes were drawn")
    if unknown := [name for name, n in counts.items() if n and name not in pipe.classes]:
        notes.append(f"the run knows no {', '.join(unknown)}, of which the reference has images")
    return tuple(n / sum(found) for n in found), tuple(notes)


def _images_seen(path: Path, pipe: Pipeline) -> int | None:
    """Images that the weights were trained on; None where the run's checkpoints are gone."""
    found = [path] if (path / "manifest.json").exists() else checkpoints.paths(path / "checkpoints")[-1:]
    return int(found[0].name.removeprefix("step-")) * pipe.config.training.batch if found else None


def _name(how: SamplingConfig, seed: int, measure: Measure, weights: str) -> str:
    """A folder for this score and no other."""
    key = sha256(f"{weights} {how.model_dump_json()} {seed} {measure.model_dump_json()}".encode()).hexdigest()[:6]
    return f"{how.solver}{how.steps}-guidance{how.guidance:g}-seed{seed}-n{measure.n}-{measure.features.name}-{key}"
