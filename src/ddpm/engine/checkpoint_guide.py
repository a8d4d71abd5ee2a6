"""The earlier checkpoint of a run that guidance leads away from."""

from copy import deepcopy
from pathlib import Path

from ddpm.config.guidance import Guide
from ddpm.core.model import Model
from ddpm.records.run_folder import RunFolder, fingerprint
from ddpm.system.errors import InputError
from ddpm.training import checkpoint as checkpoints


def guide(given: str | Path, source: Path, weights: str) -> Guide:
    """The checkpoint of this run that a path or a name means.

    Args:
        weights: hash of those that it shall guide.

    Raises:
        InputError: there is no such checkpoint, or it has the same weights.
    """
    run = RunFolder.open(source)
    home = run.checkpoints
    folder = home / given if len(Path(given).parts) == 1 else Path(given)
    if folder.resolve().parent != home.resolve() or not folder.is_dir():
        known = ", ".join(path.name for path in checkpoints.paths(home)) or "none are left"
        raise InputError("missing", f"guide_with {given} is no checkpoint of {run.path} (known: {known})")
    found = fingerprint(RunFolder(run.path, folder).weights())
    if found == weights:
        raise InputError(
            "invalid", f"guide_with {given} has the weights that it would guide; give an earlier checkpoint"
        )
    return Guide(checkpoint=folder.resolve().name, weights=found)


def model_of(guide: Guide, source: Path, model: Model) -> Model:
    """A model like this one with the checkpoint's weights.

    Raises:
        InputError: the checkpoint is gone, or has other weights now.
    """
    run = RunFolder.open(source)
    folder = run.checkpoints / guide.checkpoint
    if not folder.is_dir():
        raise InputError("invalid", f"{folder}, the checkpoint to guide with, is not there; restore it from a copy")
    weights = RunFolder(run.path, folder).weights()
    if fingerprint(weights) != guide.weights:
        raise InputError(
            "invalid", f"{folder}, the checkpoint to guide with, has other weights now; restore it from a copy"
        )
    model = deepcopy(model)  # a new one would take its start from torch's generator
    checkpoints.load_into(model.state_dict(), weights, str(folder))
    return model
