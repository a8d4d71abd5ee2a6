"""A less trained version of a run as the weak model of autoguidance (Karras et al. 2024)."""

from copy import deepcopy
from pathlib import Path

from ddpm.config.guidance import Guide
from ddpm.core.model import Model
from ddpm.records import average
from ddpm.records.run_folder import RunFolder, Weights, weights_hash
from ddpm.system.errors import InputError
from ddpm.training import checkpoint as checkpoints

EARLY = "early"
"""The name of the version that :func:`early` chooses."""
AGE = 1 / 8
"""The training of that version, as a share of the model's: Karras et al. 2024 take 1/16 to 1/3."""
OLDEST = 0.5
"""The largest share for that version: the errors of a later one are too similar."""


def early(run: RunFolder) -> str | None:
    """The name of the average after about an eighth of the model's training, which each run saves.

    Without averages, the kept checkpoint that is nearest to it. None if there is neither from the first half.
    """
    steps = run.steps() or run.config().training.steps
    names = {
        name: done for name, path in _kept(run).items() if (done := int(path.stem.split("-")[1])) <= OLDEST * steps
    }
    averages = [name for name in names if name.startswith(f"{run.averages.name}/")]
    return min(averages or names, key=lambda name: abs(names[name] - AGE * steps), default=None)


def guide(given: str | Path, source: Path, weights: str) -> Guide:
    """Find the version of this run with a path or a name: "early", "step-…" or "averages/step-…".

    Args:
        weights: the hash of the weights to guide.

    Raises:
        InputError: there is none, or it has the same weights.
    """
    run = RunFolder.open(source)
    kept, place, default = _kept(run), Path(given).resolve(), early(run)
    named = default if given == EARLY else str(given)
    name = next((name for name, path in kept.items() if name == named or _is(path, place)), None)
    if name is None:
        known = [path.name for path in checkpoints.paths(run.checkpoints)] + [EARLY] * (default is not None)
        raise InputError(
            "missing",
            f"guide_with {given} is neither a checkpoint nor an average of {run.path}; available: "
            f"{', '.join(known) or 'none'}",
        )
    found = weights_hash(_weights(run, kept[name]))
    if found == weights:
        raise InputError(
            "conflict", f"guide_with {given} has the same weights as the model it guides; use an earlier one"
        )
    return Guide(checkpoint=name, weights=found)


def model_of(guide: Guide, source: Path, model: Model) -> Model:
    """Copy the model with the weights of its earlier version.

    Raises:
        InputError: these are missing, or have changed.
    """
    run = RunFolder.open(source)
    path = _kept(run).get(guide.checkpoint)
    if path is None:
        raise InputError(
            "missing", f"{guide.checkpoint}, to guide with, is missing in {run.path}; restore it from a backup"
        )
    weights = _weights(run, path)
    if weights_hash(weights) != guide.weights:
        raise InputError("incompatible", f"the weights of {path}, to guide with, have changed; restore a backup")
    model = deepcopy(model)  # building a new one would advance torch's generator
    checkpoints.load_into(model.state_dict(), weights, str(path))
    return model


def _kept(run: RunFolder) -> dict[str, Path]:
    """The checkpoints and the saved averages of a run by name, each kind in the order of training."""
    kept = {path.name: path for path in checkpoints.paths(run.checkpoints)}
    return kept | {f"{run.averages.name}/{path.stem}": path for _, path in sorted(average.saved(run).items())}


def _is(path: Path, place: Path) -> bool:
    return place in (path.resolve(), path.resolve().with_suffix(""))


def _weights(run: RunFolder, path: Path) -> Weights:
    return RunFolder(run.path, path).weights() if path.is_dir() else average.tracked(path)
