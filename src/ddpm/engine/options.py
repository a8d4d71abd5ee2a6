"""From what is asked of a run to settings that it can be sampled by; what would have no effect is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from ddpm.config.options import changed, under
from ddpm.config.sampling import SamplingConfig
from ddpm.engine import checkpoint_guide
from ddpm.engine.labels import Label
from ddpm.engine.run import LoadedRun
from ddpm.system.errors import InputError
from ddpm.system.names import GridName


@dataclass(frozen=True)
class Asked:
    """What some images need.

    Attributes:
        run: with all at hand to draw them.
        how: their settings.
        labels: of each, by number; None without.
    """

    run: LoadedRun
    how: SamplingConfig
    labels: list[int] | None


def settings(run: LoadedRun, changes: dict[str, Any]) -> SamplingConfig:
    """The run's sampling settings with some changed; a tuned grid where solver and grid are left to the run.

    Raises:
        InputError: an unknown name, or a value that is not allowed.
    """
    own = run.config.sampling
    if isinstance(changes.get("guide_with"), str | Path):
        changes = changes | {"guide_with": checkpoint_guide.guide(changes["guide_with"], run.source, run.weights)}
    if changes.get("negative") is not None:
        changes = changes | {"negative": run.classes[run.vocabulary.number(changes["negative"])]}
    listed = changes.get("grid", own.grid) not in get_args(GridName)
    how = changed(own, changes, without=("steps",) if listed else ())  # a list of places says how many they are
    if how.classifier is not None and how.classifier.weights is None:
        weights = run.own_classifier().weights
        how = how.model_copy(update={"classifier": how.classifier.model_copy(update={"weights": weights})})
    how = _sized(run, how)
    chosen = changes.keys() & {"grid", *under(SamplingConfig, "solver")}
    return how if chosen else _tuned(run, how, changes.get("steps"))


def asked(run: LoadedRun, changes: Mapping[str, Any], label: Label | Sequence[Label] | None, n: int) -> Asked:
    """For n images: the run with all at hand that they need, the settings, and the labels by number.

    Raises:
        InputError: settings or labels that cannot be used, or that would have no effect.
    """
    given = dict(changes)
    how = settings(run, given)
    run = run.prepared(how)
    labels = run.labels(label, n)
    refuse_idle(run, given, how, labelled=labels is not None)
    negative = None if how.guidance is None else how.guidance.negative
    if labels and {run.classes[k] for k in labels} == {negative}:
        raise InputError("conflict", f"negative {negative} is what the images shall be; give another class to either")
    return Asked(run, how, labels)


def refuse_idle(run: LoadedRun, changes: dict[str, Any], how: SamplingConfig, *, labelled: bool) -> None:
    """Refuse what was asked for and has no effect.

    Args:
        changes: what was asked for.
        how: the settings with it.
        labelled: whether the images have labels.

    Raises:
        InputError: guidance of images without labels, or by labels that the network was not told in training.
    """
    if how.classifier is not None and not labelled:
        raise InputError(
            "invalid", f"classifier {how.classifier.scale:g} has nothing to guide towards: {run.vocabulary.advice}"
        )
    if how.classifier is None and labelled and not run.learned_labels:
        raise InputError("missing", f"{run.source} was trained without labels; give the scale of its classifier, too")
    if how.guidance is None or how.guidance.guide is not None or (labelled and run.learned_labels):
        return
    for name in under(SamplingConfig, "guidance"):
        if changes.get(name) is not None:
            why = f"{run.source} was trained without labels" if labelled else run.vocabulary.advice
            raise InputError("invalid", f"{name} {changes[name]} has nothing to guide towards: {why}")


def _sized(run: LoadedRun, how: SamplingConfig) -> SamplingConfig:
    """The settings without a size that is the run's own; one that cannot be drawn is refused."""
    if how.area is None or how.area.size == run.config.data.size:
        return how.model_copy(update={"area": None})
    if how.classifier is not None:
        raise InputError(
            "conflict", f"classifier {how.classifier.scale:g} is of images of the run's own size; leave out either"
        )
    (height, width), own, divisor = how.area.size, run.config.data.size, run.config.divisor
    if how.area.whole:
        if height % divisor or width % divisor:
            nearest = "x".join(str(max(1, round(n / divisor)) * divisor) for n in how.area.size)
            raise InputError(
                "invalid", f"size {height}x{width} cannot be halved as the network does; the nearest is {nearest}"
            )
    elif height < own[0] or width < own[1]:
        raise InputError(
            "invalid",
            f"size {height}x{width} is smaller than the {own[0]}x{own[1]} of training, of which larger images are "
            "made; add whole to ask the network for it at once",
        )
    return how


def _tuned(run: LoadedRun, how: SamplingConfig, steps: int | None) -> SamplingConfig:
    """What was tuned for as many steps, or the most of it where none are asked; if all but precision is alike."""
    own = {"solver", "grid", "steps", "precision"}
    alike = [found for found in run.tuned if found.model_dump(exclude=own) == how.model_dump(exclude=own)]
    fits = [found for found in alike if steps in (None, found.steps)]
    best = max(fits, key=lambda found: found.steps, default=how)
    return best.model_copy(update={"precision": how.precision})
