"""A run and images in, bits per dimension out."""

from collections.abc import Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState

from ddpm.config.likelihood import Likelihood
from ddpm.core import Schedule
from ddpm.data.dataset import Dataset
from ddpm.data.order import epoch_order
from ddpm.engine.loading import load
from ddpm.engine.run import LoadedRun
from ddpm.evaluation.answers import SHARD, Columns, answers, columns, joined
from ddpm.evaluation.evaluate import PATIENCE, images_seen
from ddpm.evaluation.options import EvaluationOptions
from ddpm.evaluation.reference import real, training
from ddpm.images.geometry import Geometry
from ddpm.objectives.bound import Bound, sampled_pairs
from ddpm.records.likelihood import FILE, BitsRecord, Levels
from ddpm.records.run_folder import RunFolder
from ddpm.records.score import ReferenceRecord
from ddpm.sampling.grid import uniform
from ddpm.system.device import device_of
from ddpm.system.errors import InputError
from ddpm.system.progress import Progress, doing
from ddpm.tasks.likelihood import likelihood
from ddpm.tasks.likelihood_settings import settle

N = 1000
"""Images at the most, if nothing else is asked for."""
RULE = 3
"""Raised whenever the same question would get another answer: files of before are then left alone."""


def measure_likelihood(
    path: Path,
    options: EvaluationOptions,
    progress: Progress,
    method: str = "bound",
    labels: bool = False,
    **how: Any,
) -> tuple[BitsRecord, Path] | None:
    """Take the bits per dimension of a run or a checkpoint, going on where the same was interrupted.

    Every process of a distributed start takes a part of the images; the main one writes the record.

    Args:
        options: of which the batch is 1 to 50; None for ``data`` takes the images that the run held out.
        method, how: see :class:`Likelihood`.
        labels: whether to tell the images' classes.

    Returns:
        What was found, and its folder in the run's; None in other processes than the main one.

    Raises:
        InputError: something asked for cannot be had.
    """
    n, batch = N if options.n is None else options.n, SHARD if options.batch is None else options.batch
    if not 1 <= batch <= SHARD:
        raise InputError("invalid", f"batch must be between 1 and {SHARD}, the images of a file, not {batch}")
    if n < 2:
        raise InputError("invalid", f"-n {n} is too few for a mean with its error; give at least 2")
    state = PartialState(cpu=device_of(options.device).type == "cpu", timeout=PATIENCE)
    run = RunFolder.open(path)
    loaded = load(path, str(state.device) if state.num_processes > 1 else options.device)
    if loaded.needs_label and not labels:
        raise InputError("missing", f"{path} never saw an image without its label when it was trained: give --labels")
    settled = settle(loaded.config, method, seed=options.seed, **how)
    with state.main_process_first():  # what is read for the first time
        data, source, notes = _images(loaded, options, progress)
    # always the same order, so that seeds differ in their noise and not in their images
    order = epoch_order(0, 0, len(data))[:n]
    classes = _labels(loaded, data.subset(order)) if labels else None
    part = "held out" if options.data is None else "all"
    question = f"{RULE} {loaded.weights} {loaded.config.diffusion} {settled} {source.hash} {part} {labels}"
    key = sha256(question.encode()).hexdigest()[:12]
    shards = answers(run.likelihood / "answers" / key, len(order))
    mine = [k for k in shards.missing() if k % state.num_processes == state.process_index]
    total, before = sum(len(shards.images(k)) for k in mine), 0
    for k in mine:
        parts = []
        for first in range(0, len(shards.images(k)), batch):
            here = shards.images(k)[first : first + batch]

            def report(calls: int, of: int, what: str = "", /, before: int = before, n: int = len(here)) -> None:
                # in images, as nobody knows how many calls the ODE takes
                done = n * calls // of if of else 0
                progress(before + done, total, "images" if of else f"images, {calls} network calls")

            given = None if classes is None else classes[here.start : here.stop]
            pixels = data.read(order[here.start : here.stop])
            parts.append(likelihood(loaded, settled, pixels, given, list(here), report))
            before += len(here)
        shards.write(k, columns(parts))
    state.wait_for_everyone()
    if not state.is_main_process:
        return None
    record = BitsRecord(
        made_by=f"ddpm {version('ddpm')}",
        run=str(run.source),
        weights=loaded.weights,
        images_seen=images_seen(run, loaded),
        data=source,
        held_out=options.data is None,
        size=loaded.config.data.size,
        mode=loaded.config.data.mode,
        labels=labels,
        how=settled,
        notes=notes,
        names=tuple(data.names[i] for i in order),
        **_numbers(loaded.engine.schedule, settled, joined(shards)),
    )
    folder = run.likelihood / _name(run, record, key)
    record.write(folder / FILE)
    return record, folder


def _images(
    loaded: LoadedRun, options: EvaluationOptions, progress: Progress
) -> tuple[Dataset, ReferenceRecord, tuple[str, ...]]:
    """The images to take from, what they are, and what a reader should know of them."""
    config = loaded.config.data
    if options.data is None:
        try:
            held = training(loaded.config, doing(progress, "reading the images")).held_out
        except InputError as e:
            raise InputError(
                "invalid", f"the images that the run held out cannot be had ({e}); give others by --data"
            ) from e
        if len(held) < 2:
            raise InputError(
                "invalid", f"the run held out {len(held)} images, too few for a mean; give others by --data"
            )
        return held, ReferenceRecord.of(config.source, held), ()
    geometry = Geometry(config.size, config.mode, options.fit)
    found = real(options.data, geometry, skip_bad=options.skip_bad, progress=doing(progress, "reading the images"))
    notes = found.notes
    if found.data.fingerprint == config.fingerprint:
        notes = (*notes, "most of these images were trained on: bits of images that were not are higher")
    return found.data, ReferenceRecord.of(found.source, found.data), notes


def _labels(loaded: LoadedRun, data: Dataset) -> list[int]:
    """The run's numbers of the images' classes."""
    if not loaded.classes:
        raise InputError(
            "conflict", f"--labels tells the classes, and {loaded.source} was trained without; leave it out"
        )
    if data.labels is None:
        raise InputError(
            "conflict", "--labels tells the images' classes, and they have none; leave it out, or give others by --data"
        )
    names = [data.classes[label] for label in data.labels]
    if unknown := sorted(set(names) - set(loaded.classes)):
        raise InputError(
            "unknown", f"--labels: the run knows no {', '.join(unknown)} (known: {', '.join(loaded.classes)})"
        )
    return [loaded.classes.index(name) for name in names]


def _numbers(schedule: Schedule, how: Likelihood, found: Columns) -> dict[str, Any]:
    """What of a record is worked out of the images' answers."""
    bits = found["bits"].astype(np.float64)
    numbers: dict[str, Any] = {
        "n": len(bits),
        "mean": float(bits.mean()),
        "stderr": float(bits.std(ddof=1) / len(bits) ** 0.5),
        "calls": float(found["calls"].mean()),
        "bits": tuple(bits.tolist()),
    }
    if how.method == "bound":
        bound = Bound(*(torch.from_numpy(found[name]).double() for name in ("prior", "terms", "x0_mse")))
        numbers |= {name: float(getattr(bound, name).mean()) for name in ("prior", "kl", "decoder")}
        numbers["levels"] = _levels(schedule, how, bound)
    return numbers


def _levels(schedule: Schedule, how: Likelihood, bound: Bound) -> Levels:
    assert how.steps is not None
    grid = uniform(schedule, how.steps)
    noisy = [(level.sigma / level.alpha if level.alpha else float("inf")) for level in grid[:-1]]
    timesteps = schedule.timestep(torch.tensor(noisy, dtype=torch.float64))
    pairs = [1] * how.steps
    if how.terms is not None:
        pairs = [pair.weight for pair in sampled_pairs(grid, torch.zeros(1, how.terms))]
    runs: Sequence[torch.Tensor] = torch.split(timesteps, pairs)
    return Levels(
        timestep=tuple(round(float(run.mean()), 3) for run in runs),
        pairs=tuple(pairs),
        bits=tuple(bound.terms.mean(0).tolist()),
        x0_mse=tuple(bound.x0_mse.mean(0).tolist()),
    )


def _name(run: RunFolder, record: BitsRecord, key: str) -> str:
    """A folder for this record and no other."""
    how = record.how
    parts = [
        f"{how.method}{how.steps or ''}",
        f"terms{how.terms}" if how.terms else "",
        "labels" if record.labels else "",
    ]
    return run.stage + "-".join([*filter(None, parts), f"seed{how.seed}", f"n{record.n}", key[:6]])
