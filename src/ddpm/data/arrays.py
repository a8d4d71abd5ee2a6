"""Images stored as arrays: an .npz file, the built-in digits, or an array in memory."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from ddpm.data.captions import strings_of
from ddpm.data.class_names import class_names, labels_of_shape
from ddpm.data.dataset import Dataset
from ddpm.data.source import Item, Source
from ddpm.images.pixels import Pixels
from ddpm.system.arrays import ArrayHeader, NpzArrays
from ddpm.system.errors import InputError
from ddpm.system.files import write_file
from ddpm.system.names import listed
from ddpm.system.units import say_bytes

IMAGES, LABELS = ("images", "arr_0"), ("labels", "arr_1")
"""The names of the arrays of images and of labels: ours, and guided-diffusion's."""


def open_npz(path: Path) -> Source:
    """An .npz with ``images``, optionally ``labels``, ``classes`` and ``captions``; or guided-diffusion's ``arr_0`` and
    ``arr_1``.

    Raises:
        InputError: if it cannot be read, lacks the images, or the arrays do not fit together.
    """
    try:
        with NpzArrays(path) as file:
            names = [next((one for one in pair if one in file), pair[0]) for pair in (IMAGES, LABELS)]
            found = {name: header for name in (*names, "classes", "captions") if (header := file.header(name))}
            if names[0] not in found:
                raise InputError(
                    "missing",
                    f"{path} has no array 'images' (found: {listed(file.names) or 'none'}); name the array of images "
                    "'images'",
                )
            _check(found, names[0], names[1], str(path))
            arrays = {name: file.read(name) for name in found}
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            "unreadable", f"{path} is not a readable .npz of plain arrays ({error}); save it with numpy.savez"
        ) from error
    images, labels = (arrays.get(name) for name in names)
    assert images is not None
    classes, captions = [str(name) for name in arrays.get("classes", ())], arrays.get("captions")
    lines = None if captions is None else [str(text).split("\n") for text in captions]
    return array_source(images, labels, classes, strings_of(lines, len(images), str(path)), where=str(path))


def _check(found: Mapping[str, ArrayHeader], images: str, labels: str, where: str) -> None:
    """Check by their headers that arrays have the expected shapes and types, and fit in memory."""
    _check_images(found[images].shape, found[images].dtype, where)
    n = found[images].shape[0]
    if labels in found and found[labels].shape != (n,):
        raise labels_of_shape(found[labels].shape, n, where)
    for name, one in found.items():
        if name in ("classes", "captions") and (one.dtype.kind != "U" or len(one.shape) != 1):
            raise InputError(
                "invalid",
                f"the {name} of {where} have the shape {one.shape} and the type {one.dtype}; use "
                f"{'N' if name == 'captions' else 'a list of'} strings",
            )
    needed, free = sum(one.nbytes for one in found.values()), psutil.virtual_memory().available
    if needed > free:
        raise InputError(
            "memory",
            f"the arrays of {where} need {say_bytes(needed)} of memory, but {say_bytes(free)} are free; save the "
            "images as files in a folder or a .zip, which are not read as a whole",
        )


def open_digits() -> Source:
    """scikit-learn's 1,797 digits of 8 × 8 (Alpaydin & Kaynak 1998), their 17 grey levels scaled to 0 … 255.

    Raises:
        InputError: if scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise InputError(
            "missing", "the digits require scikit-learn, which is not installed; run pip install scikit-learn"
        ) from None
    images, labels = _digits(load_digits)
    return array_source(images.copy(), labels.copy(), [str(i) for i in range(10)], where="the digits")


@cache
def _digits(load: Callable[[], Any]) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """The digits and their labels, cached because a command opens them several times; callers must copy them."""
    digits = load()
    return np.rint(digits.images * (255 / 16)).astype(np.uint8), digits.target


def save_npz(data: Dataset, path: Path) -> None:
    """Save images, labels, classes and captions in the format that :func:`open_npz` reads.

    Raises:
        InputError: if the file cannot be written.
    """
    arrays: dict[str, Any] = {"images": data.images}
    if data.labels is not None:
        arrays |= {"labels": data.labels, "classes": np.array(data.classes)}
    if data.captions is not None:
        arrays["captions"] = np.array(data.captions)
    file = BytesIO()
    np.savez(file, **arrays)
    write_file(path, file.getvalue())


def array_source(
    images: npt.NDArray[Any],
    labels: npt.NDArray[Any] | None = None,
    classes: Sequence[str] = (),
    captions: Sequence[str] | None = None,
    where: str = "the array",
) -> Source:
    """Arrays as a source.

    Args:
        images: (N, H, W) or (N, H, W, C) uint8 with 1 to 4 channels: grey, grey and alpha, RGB, RGBA.
        labels: (N,) non-negative integers, or names.
        classes: The name of each number; the numbers themselves if empty.
        captions: N strings, whose lines are the captions of an image.

    Raises:
        InputError: if the arrays have another shape or type.
    """
    _check_images(images.shape, images.dtype, where)
    images = images if images.ndim == 4 else images[..., None]
    names, classes = class_names(labels, tuple(classes), len(images), where)
    digits = len(str(len(images) - 1))
    digest = hashlib.sha256(repr((images.shape, names, classes)).encode())
    digest.update(np.ascontiguousarray(images).data)
    texts: Sequence[str | None] = [None] * len(images)
    if captions is not None:
        texts = [caption or None for caption in captions]
        digest.update(repr(texts).encode())
    pairs = zip(names, texts, strict=True)
    items = tuple(Item(f"{i:0{digits}}", label, text) for i, (label, text) in enumerate(pairs))
    return Source(items, partial(_read_row, images), key=digest.hexdigest()[:32], classes=classes)


def _check_images(shape: tuple[int, ...], dtype: np.dtype[Any], where: str) -> None:
    if dtype != np.uint8:
        raise InputError("invalid", f"the images of {where} are {dtype}; use uint8 values from 0 to 255")
    if len(shape) not in (3, 4) or (len(shape) == 4 and not 1 <= shape[-1] <= 4) or 0 in shape:
        raise InputError(
            "invalid",
            f"the images of {where} have the shape {' × '.join(map(str, shape)) or '()'}; use N × H × W, or "
            "N × H × W × C with 1 to 4 channels",
        )


def _read_row(images: Pixels, name: str) -> Pixels:
    image: Pixels = images[int(name)]
    return image[..., 0] if image.shape[-1] == 1 else image
