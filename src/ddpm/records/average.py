"""Averages of a run's weights of any length, made after training."""

import re
from pathlib import Path

from safetensors import SafetensorError

from ddpm.records.run_folder import RunFolder, Weights
from ddpm.system.errors import InputError
from ddpm.training import checkpoint as checkpoints
from ddpm.training.power_average import LONGEST, SHORTEST, TRACKED, combine, read

_SAVED = re.compile(r"step-(\d{9,})\.safetensors")


def saved(run: RunFolder) -> dict[int, Path]:
    """The files of the averages that training saved, by the number of steps."""
    return {int(m[1]): path for path in run.averages.glob("step-*") if (m := _SAVED.fullmatch(path.name))}


def tracked(file: Path) -> Weights:
    """The longest average in one of these files, float32.

    Raises:
        InputError: the file is damaged.
    """
    try:
        return read(file, max(TRACKED))
    except (SafetensorError, OSError) as e:
        raise InputError("unreadable", f"{file} is damaged ({e}); restore it from a backup") from e


def average(run: RunFolder, length: float) -> Path:
    """Write the average of a length, up to the last saved averages, beside these; returns its folder.

    It opens wherever a checkpoint does.

    Args:
        length: the standard deviation of the average's profile relative to the run so far, in 0.04 … 0.2.

    Raises:
        InputError: the length is out of range, or the run saved no averages or damaged ones.
    """
    if not SHORTEST <= length <= LONGEST:
        raise InputError(
            "invalid", f"--length {length:g} is out of range; use {SHORTEST:g} to {LONGEST:g}, typically about 0.1"
        )
    files = saved(run)
    if not files:
        raise InputError(
            "missing",
            f"{run.path} has no saved averages; train with --set training.averages=16 until at least a "
            "sixteenth of the run is done",
        )
    try:
        weights = combine(files, length)
    except (SafetensorError, OSError) as e:
        raise InputError("unreadable", f"an average in {run.averages} is damaged ({e}); remove it") from e
    made = checkpoints.Checkpoint(max(files), {"ema": weights}, {"length": length})
    return checkpoints.store(run.averages / f"length-{length:g}", made)
