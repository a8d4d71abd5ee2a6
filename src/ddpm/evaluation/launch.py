"""The start of an evaluation that all processes of a distributed launch share."""

from pathlib import Path

from accelerate import PartialState

from ddpm.engine.loading import load
from ddpm.engine.run import LoadedRun
from ddpm.evaluation.options import EvaluationOptions
from ddpm.records.run_folder import RunFolder
from ddpm.system.device import device_of
from ddpm.system.errors import InputError
from ddpm.system.peers import PATIENCE, watch


def launch(path: Path, device: str | None) -> tuple[PartialState, RunFolder, LoadedRun]:
    """Join the other processes, and load a run or a checkpoint to the device of this one.

    Args:
        device: cpu, cuda or mps; None takes the best available.

    Raises:
        InputError: it cannot be loaded.
    """
    state = PartialState(cpu=device_of(device).type == "cpu", timeout=PATIENCE)
    watch()
    run = RunFolder.open(path)
    return state, run, load(path, str(state.device) if state.num_processes > 1 else device)


def batch_within(options: EvaluationOptions, most: int, what: str) -> int:
    """The number of images in memory at a time, by default all of a file.

    Args:
        most: the number of images per file.
        what: the images, in messages.

    Raises:
        InputError: a file has fewer.
    """
    batch = most if options.batch is None else options.batch
    if not 1 <= batch <= most:
        raise InputError("invalid", f"--batch must be between 1 and {most}, the {what} per file, not {batch}")
    return batch
