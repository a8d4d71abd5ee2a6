"""An earlier checkpoint of a run as the weak model of autoguidance."""

from copy import deepcopy
from pathlib import Path

from ddpm.config.guidance import Guide
from ddpm.core.model import Model
from ddpm.records.run_folder import RunFolder, fingerprint
from ddpm.system.errors import InputError
from ddpm.training import checkpoint as checkpoints


def guide(given: str | Path, source: Path, weights: str) -> Guide:
    """Find the checkpoint of this run with a path or a name.

    Args:
        weights: the hash of the weights to guide.

    Raises:
        InputError: there is no such checkpoint, or it has the same weights.
    """
    run = RunFolder.open(source)
    home = run.checkpoints
    folder = home / given if len(Path(given).parts) == 1 else Path(given)
    if folder.resolve().parent != home.resolve() or not folder.is_dir():
        known = ", ".join(path.name for path in checkpoints.paths(home)) or "none"
        raise InputError("missing", f"guide_with {given} is not a checkpoint of {run.path}; available: {known}")
    found = fingerprint(RunFolder(run.path, folder).weights())
    if found == weights:
        raise InputError(
            "conflict", f"guide_with {given} has the same weights as the model it guides; use an earlier checkpoint"
        )
    return Guide(checkpoint=folder.resolve().name, weights=found)


def model_of(guide: Guide, source: Path, model: Model) -> Model:
    """Copy the model with the checkpoint's weights.

    Raises:
        InputError: the checkpoint is missing, or its weights have changed.
    """
    run = RunFolder.open(source)
    folder = run.checkpoints / guide.checkpoint
    if not folder.is_dir():
        raise InputError("missing", f"the checkpoint to guide with, {folder}, is missing; restore it from a backup")
    weights = RunFolder(run.path, folder).weights()
    if fingerprint(weights) != guide.weights:
        raise InputError(
            "incompatible", f"the weights of {folder}, the checkpoint to guide with, have changed; restore a backup"
        )
    model = deepcopy(model)  # building a new one would advance torch's generator
    checkpoints.load_into(model.state_dict(), weights, str(folder))
    return model
