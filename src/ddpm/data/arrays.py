"""Images that are already arrays: an .npz file, or an array in memory."""

import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ddpm.data.source import Item, Source
from ddpm.images.pixels import Pixels
from ddpm.system.errors import InputError


@dataclass(frozen=True, eq=False, slots=True)
class ArrayReader:
    """Reads images (N, H, W, C) by their number."""

    images: Pixels

    def read(self, name: str) -> Pixels:
        image: Pixels = self.images[int(name)]
        return image[..., 0] if image.shape[-1] == 1 else image


def open_npz(path: Path) -> Source:
    """An .npz with ``images``, and maybe ``labels`` and ``classes``; guided-diffusion's ``arr_0``, ``arr_1`` also do.

    Raises:
        InputError: if it cannot be read, holds other arrays, or they do not fit together.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays: dict[str, npt.NDArray[Any]] = dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} is not a readable .npz of plain arrays ({error}); save it with numpy.savez"
        ) from error
    images = arrays.get("images", arrays.get("arr_0"))
    if images is None:
        raise InputError(f"{path} holds the arrays {', '.join(arrays) or 'none'}; name the one of the images 'images'")
    classes = [str(name) for name in arrays.get("classes", ())]
    return array_source(images, arrays.get("labels", arrays.get("arr_1")), classes, where=str(path))


def array_source(
    images: npt.NDArray[Any],
    labels: npt.NDArray[Any] | None = None,
    classes: Sequence[str] = (),
    where: str = "the array",
) -> Source:
    """Arrays as a source.

    Args:
        images: (N, H, W) or (N, H, W, C) uint8 with 1 to 4 channels: grey, grey and alpha, RGB, RGBA.
        labels: (N,) whole numbers from 0, or names.
        classes: the name of each number; the numbers themselves where it is empty.

    Raises:
        InputError: if the arrays do not fit this.
    """
    if images.dtype != np.uint8:
        raise InputError(f"the images of {where} are {images.dtype}; give uint8 values from 0 to 255")
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or not 1 <= images.shape[-1] <= 4 or 0 in images.shape:
        shape = " × ".join(map(str, images.shape))
        raise InputError(f"the images of {where} are {shape}; give N × H × W, or N × H × W × C with 1 to 4 channels")
    names, classes = _class_names(labels, tuple(classes), len(images), where)
    digits = len(str(len(images) - 1))
    digest = hashlib.sha256(repr((images.shape, names, classes)).encode())
    digest.update(np.ascontiguousarray(images).data)
    items = tuple(Item(f"{i:0{digits}}", label) for i, label in enumerate(names))
    return Source(items, ArrayReader(images), key=digest.hexdigest()[:32], classes=classes)


def _class_names(
    labels: npt.NDArray[Any] | None, classes: tuple[str, ...], n: int, where: str
) -> tuple[list[str | None], tuple[str, ...]]:
    """The class's name of each image, and all classes in order."""
    if labels is None:
        return [None] * n, ()
    if labels.shape != (n,):
        raise InputError(f"the labels of {where} have the shape {labels.shape}; {n} images need ({n},)")
    if labels.dtype.kind == "U":
        return [str(name) for name in labels], classes or tuple(sorted({str(name) for name in labels}))
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        raise InputError(f"the labels of {where} must be whole numbers from 0, or names; they are {labels.dtype}")
    classes = classes or tuple(map(str, range(int(labels.max()) + 1)))
    if labels.max() >= len(classes):
        raise InputError(
            f"{where} has the label {labels.max()}, but names only {len(classes)} classes; name the others too"
        )
    return [classes[i] for i in labels], classes
