"""``ddpm average``."""

from pathlib import Path

from ddpm.cli.output import say
from ddpm.system.errors import InputError


def average(run: Path, *, length: float) -> None:
    """Average a run's weights over a longer or shorter part of its training, without training again.

    Compare the result with the run by `ddpm evaluate`.

    Args:
        run: A run folder.
        length: The length of the average as a proportion of training, between 0.04 and 0.2: the standard deviation of
            the times it is taken over. The weights in the run folder have about 0.09.
    """
    from ddpm.records.average import average
    from ddpm.records.run_folder import RunFolder

    folder = RunFolder.open(run)
    if folder.checkpoint is not None:
        raise InputError("invalid", f"{run} is a checkpoint; use the run folder, which has the saved averages")
    written = average(folder, length)
    say(f"written  {written}", f"next: ddpm sample {written} -n 16")
