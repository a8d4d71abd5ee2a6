"""The classes of labels that come as an array."""

from typing import Any

import numpy.typing as npt

from ddpm.system.errors import InputError
from ddpm.system.filenames import natural

MOST_CLASSES = 100_000
"""The largest number of classes of labels without names."""


def class_names(
    labels: npt.NDArray[Any] | None, classes: tuple[str, ...], n: int, where: str
) -> tuple[list[str | None], tuple[str, ...]]:
    """The class name of each image, and all classes in order.

    Args:
        labels: (n,) non-negative integers, or names.
        classes: The name of each number; the numbers themselves if empty.

    Raises:
        InputError: if the labels have another shape or type.
    """
    if labels is None:
        return [None] * n, ()
    if labels.shape != (n,):
        raise labels_of_shape(labels.shape, n, where)
    if len({*classes}) < len(classes):
        twice = next(name for i, name in enumerate(classes) if name in classes[:i])
        raise InputError("invalid", f"{where} names the class {twice!r} twice; give each class a name of its own")
    if labels.dtype.kind == "U":
        names = {str(name) for name in labels}
        if classes and (others := sorted(names - {*classes}, key=natural)):
            raise InputError("invalid", f"{where} has the label {others[0]!r}, which is none of its classes; add it")
        return [str(name) for name in labels], classes or tuple(sorted(names, key=natural))
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        found = labels.min() if labels.dtype.kind in "iu" else labels.dtype
        raise InputError("invalid", f"the labels of {where} must be non-negative integers or names, not {found}")
    most = int(labels.max())
    if not classes and most >= MOST_CLASSES:
        raise InputError(
            "invalid",
            f"the labels of {where} reach {most}, which would make as many classes; number the classes from 0 to at "
            f"most {MOST_CLASSES - 1}, or give each image the name of its class",
        )
    classes = classes or tuple(map(str, range(most + 1)))
    if most >= len(classes):
        raise InputError(
            "invalid",
            f"{where} has the label {most}, but names only {len(classes)} classes; name the others as well",
        )
    return [classes[i] for i in labels], classes


def labels_of_shape(shape: tuple[int, ...], n: int, where: str) -> InputError:
    """The error for labels that are not one per image."""
    return InputError("invalid", f"the labels of {where} have the shape {shape}; use ({n},), one per image")
