"""Images stored as arrays: an .npz file, the built-in digits, or an array in memory."""

import hashlib
import zipfile
from collections.abc import Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ddpm.data.captions import strings_of
from ddpm.data.dataset import Dataset, class_names
from ddpm.data.source import Item, Source
from ddpm.images.pixels import Pixels
from ddpm.system.errors import InputError
from ddpm.system.files import write_file


def open_npz(path: Path) -> Source:
    """An .npz with ``images``, optionally ``labels``, ``classes`` and ``captions``; or guided-diffusion's ``arr_0`` and
    ``arr_1``.

    Raises:
        InputError: if it cannot be read, lacks the images, or the arrays do not fit together.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays: dict[str, npt.NDArray[Any]] = dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            "unreadable", f"{path} is not a readable .npz of plain arrays ({error}); save it with numpy.savez"
        ) from error
    images = arrays.get("images", arrays.get("arr_0"))
    if images is None:
        raise InputError(
            "missing",
            f"{path} has no array 'images' (found: {', '.join(arrays) or 'none'}); name the array of images 'images'",
        )
    classes = [str(name) for name in arrays.get("classes", ())]
    labels, captions = arrays.get("labels", arrays.get("arr_1")), arrays.get("captions")
    if captions is not None and (captions.dtype.kind != "U" or captions.ndim != 1):
        raise InputError(
            "invalid",
            f"the captions of {path} have the shape {captions.shape} and the type {captions.dtype}; use N strings",
        )
    lines = None if captions is None else [str(text).split("\n") for text in captions]
    texts = strings_of(lines, len(images), str(path))
    return array_source(images, labels, classes, texts, where=str(path))


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
    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    return array_source(images, digits.target, [str(i) for i in range(10)], where="the digits")


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
    if images.dtype != np.uint8:
        raise InputError("invalid", f"the images of {where} are {images.dtype}; use uint8 values from 0 to 255")
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or not 1 <= images.shape[-1] <= 4 or 0 in images.shape:
        shape = " × ".join(map(str, images.shape))
        raise InputError(
            "invalid",
            f"the images of {where} have the shape {shape}; use N × H × W, or N × H × W × C with 1 to 4 channels",
        )
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


def _read_row(images: Pixels, name: str) -> Pixels:
    image: Pixels = images[int(name)]
    return image[..., 0] if image.shape[-1] == 1 else image
