"""Averages of a run's weights, of any length, computed after training."""

import re
from pathlib import Path

from ddpm.config.training import LONGEST, SHORTEST
from ddpm.records.run_folder import RunFolder, Weights
from ddpm.system.errors import InputError
from ddpm.training import checkpoint as checkpoints
from ddpm.training.power_average import TRACKED, combine, read

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
    except (OSError, ValueError) as e:
        raise InputError("unreadable", f"{file} is damaged ({e}); restore it from a backup") from e


def folder_of(run: RunFolder, length: float) -> Path:
    """The folder of the average of a length."""
    return run.averages / f"length-{length:g}"


def average(run: RunFolder, length: float) -> Path:
    """Write the average of a length next to those that training saved, and return its folder.

    It can be opened wherever a checkpoint can.

    Raises:
        InputError: as :func:`averaged`, or it cannot be written.
    """
    made = checkpoints.Checkpoint(max(saved(run), default=0), {"ema": averaged(run, length)}, {"length": length})
    return checkpoints.store(folder_of(run, length), made)


def check(length: float) -> None:
    """Refuse a length that the saved averages cannot approximate well.

    Raises:
        InputError: it is out of range.
    """
    if not SHORTEST <= length <= LONGEST:
        raise InputError(
            "invalid", f"length {length:g} is out of range; use {SHORTEST:g} to {LONGEST:g}, typically about 0.1"
        )


def averaged(run: RunFolder, length: float) -> Weights:
    """The average of a length, up to the last saved averages.

    Args:
        length: the standard deviation of the average's profile relative to the run so far, in 0.04 … 0.2.

    Raises:
        InputError: the length is out of range, or the run saved no averages or damaged ones.
    """
    check(length)
    files = saved(run)
    if not files:
        raise InputError(
            "missing",
            f"{run.path} has no saved averages; train with --set training.averages=16 until at least a "
            "sixteenth of the run is done",
        )
    try:
        return combine(files, length)
    except (OSError, ValueError) as e:
        raise InputError("unreadable", f"an average in {run.averages} is damaged ({e}); remove it") from e
