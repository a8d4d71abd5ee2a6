"""The proportions of the classes among samples."""

from collections.abc import Sequence

import numpy as np

from ddpm.data.dataset import Dataset


def proportions_of(classes: Sequence[str], reference: Dataset) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """Compute the share of each of a run's classes among the reference images, with notes on mismatches.

    Args:
        classes: the run's classes in the order of its labels; empty for a run without classes.

    Returns:
        Shares that sum to 1, one per class, and the notes.
    """
    if not classes:
        return (), ()
    even = tuple(1 / len(classes) for _ in classes)
    if reference.labels is None:
        return even, ("the reference has no classes: samples have all classes of the run equally often",)
    images = np.bincount(reference.labels, minlength=len(reference.classes)).tolist()
    counts = dict(zip(reference.classes, images, strict=True))
    found = [counts.get(name, 0) for name in classes]
    if not sum(found):
        return even, ("the reference has none of the run's classes: samples have all of them equally often",)
    notes = []
    if absent := [name for name, n in zip(classes, found, strict=True) if not n]:
        notes.append(f"the reference has no {', '.join(absent)}: no samples of these classes were drawn")
    if unknown := [name for name, n in counts.items() if n and name not in classes]:
        notes.append(f"the reference has images of {', '.join(unknown)}, which the run has no class for")
    return tuple(n / sum(found) for n in found), tuple(notes)
