"""Measure the bits per dimension of images under a run."""

from collections.abc import Sequence
from hashlib import sha256
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ddpm.config.likelihood import Likelihood
from ddpm.core.level import noise_to_signal
from ddpm.data.dataset import Dataset
from ddpm.data.order import epoch_order
from ddpm.engine.diffusion import Diffusion
from ddpm.engine.run import LoadedRun
from ddpm.evaluation.evaluate import images_seen
from ddpm.evaluation.launch import batch_within, launch
from ddpm.evaluation.options import EvaluationOptions
from ddpm.evaluation.reference import held_out, reference
from ddpm.evaluation.shards import Shards
from ddpm.objectives.bound import Bound, sampled_pairs
from ddpm.records.likelihood import FILE, BitsRecord, Levels
from ddpm.records.run_folder import RunFolder
from ddpm.records.score import ReferenceRecord
from ddpm.system.arrays import NpzArrays
from ddpm.system.errors import InputError
from ddpm.system.names import listed
from ddpm.system.progress import Progress, doing
from ddpm.tasks.likelihood import Columns, likelihood
from ddpm.tasks.likelihood_settings import settle

N = 1000
"""The most images to measure by default."""
SHARD = 50
"""Images per file of results, and the most in memory."""
RULE = 4
"""Incremented whenever the same settings would give another result, so that older files are ignored."""

Arrays = dict[str, npt.NDArray[Any]]
"""``Columns`` of a file."""


def measure_likelihood(
    path: Path,
    options: EvaluationOptions,
    progress: Progress,
    method: str = "bound",
    labels: bool = False,
    **how: Any,
) -> tuple[BitsRecord, Path] | None:
    """Measure the bits per dimension of a run or a checkpoint, resuming an interrupted measurement.

    In a distributed launch, every process takes part of the images, and the main one writes the record.

    Args:
        options: with a batch of 1 to 50; None for ``data`` takes the run's held-out images.
        method, how: see :class:`Likelihood`.
        labels: whether to condition on the images' classes.

    Returns:
        The record, and its folder in the run folder; None except in the main process.

    Raises:
        InputError: an argument cannot be used.
    """
    n, batch = N if options.n is None else options.n, batch_within(options, SHARD, "images")
    if n < 2:
        raise InputError("invalid", f"-n {n} is too few for a mean with a standard error; use at least 2")
    state, run, loaded = launch(path, options.device)
    if loaded.needs_label and not labels:
        raise InputError("conflict", f"{path} was trained only with labels; use --labels")
    settled = settle(loaded.config, method, seed=options.seed, **how)
    with state.main_process_first():  # reads into the cache only once
        data, source, notes = _images(loaded, options, progress)
    # always the same order, so that seeds change the noise and not the images
    n = min(n, len(data))
    order = epoch_order(0, np.zeros(n, np.int64), np.arange(n), len(data))
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
                # in images, as the number of calls of the ODE is unknown
                done = n * calls // of if of else 0
                progress(before + done, total, "images" if of else f"images, {calls} network calls")

            given = None if classes is None else classes[here.start : here.stop]
            pixels = data.read(order[here.start : here.stop])
            parts.append(likelihood(loaded, settled, pixels, given, list(here), report))
            before += len(here)
        shards.write(k, packed(parts))
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
        **_numbers(loaded.engine, settled, joined(shards)),
    )
    folder = run.likelihood / _name(run, record, key)
    record.write(folder / FILE)
    return record, folder


def answers(folder: Path, n: int) -> Shards[Arrays]:
    """The results for the first n images of an order."""
    return Shards(folder, n, SHARD, "{start:06d}-{stop:06d}.npz", _load)


def packed(parts: Sequence[Columns]) -> bytes:
    """Pack the results for several batches into a file."""
    file, found = BytesIO(), {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]}
    np.savez(file, allow_pickle=False, **found)
    return file.getvalue()


def joined(shards: Shards[Arrays]) -> Arrays:
    """Read the results of all files."""
    files = [shards.read(k) for k in range(len(shards))]
    return {name: np.concatenate([file[name] for file in files]) for name in files[0]}


def _load(path: Path, images: range) -> Arrays | None:
    try:
        with NpzArrays(path) as file:
            found = {name: file.read(name) for name in file.names}
    except (OSError, ValueError):
        return None
    return found if len(found.get("bits", ())) == len(images) else None


def _images(
    loaded: LoadedRun, options: EvaluationOptions, progress: Progress
) -> tuple[Dataset, ReferenceRecord, tuple[str, ...]]:
    """Load the images, with a record of their source and notes for the reader."""
    config, report = loaded.config.data, doing(progress, "reading the images")
    if options.data is None:
        held = held_out(loaded.config, report)
        if len(held) < 2:
            raise InputError(
                "invalid", f"the run has {len(held)} held-out images, too few for a mean; pass others with --data"
            )
        return held, ReferenceRecord.of(config.source, held), ()
    found = reference(options, config, report)
    notes = found.notes
    if found.data.fingerprint == config.fingerprint:
        notes = (*notes, "the run was trained on most of these images: unseen images take more bits")
    return found.data, ReferenceRecord.of(found.source, found.data), notes


def _labels(loaded: LoadedRun, data: Dataset) -> list[int]:
    """Map the images' classes to the run's labels."""
    if not loaded.classes:
        raise InputError("conflict", f"--labels needs a run with classes, and {loaded.source} has none; drop --labels")
    if data.labels is None:
        raise InputError(
            "conflict", "--labels needs images with classes, and these have none; drop it, or pass others with --data"
        )
    names = [data.classes[label] for label in data.labels]
    if unknown := sorted(set(names) - set(loaded.classes)):
        raise InputError(
            "unknown", f"--labels: the run has no class {', '.join(unknown)}; it has {listed(loaded.classes)}"
        )
    return [loaded.classes.index(name) for name in names]


def _numbers(engine: Diffusion, how: Likelihood, found: Arrays) -> dict[str, Any]:
    """Compute the figures of a record from the results for the images."""
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
        numbers["levels"] = _levels(engine, how, bound)
    return numbers


def _levels(engine: Diffusion, how: Likelihood, bound: Bound) -> Levels:
    assert how.steps is not None
    grid = engine.grid(how.sampling)
    noisy = torch.tensor([noise_to_signal(level) for level in grid[:-1]], dtype=torch.float64)
    timesteps = engine.schedule.timestep(noisy)
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
    """A folder name unique to this record."""
    how = record.how
    parts = [
        f"{how.method}{how.steps or ''}",
        f"terms{how.terms}" if how.terms else "",
        "labels" if record.labels else "",
    ]
    return run.stage + "-".join([*filter(None, parts), f"seed{how.seed}", f"n{record.n}", key[:6]])
