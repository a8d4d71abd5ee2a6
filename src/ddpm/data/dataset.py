"""Data sets of images of one size and mode."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from ddpm.data.captions import Captions, strings_of
from ddpm.data.class_names import class_names
from ddpm.data.columns import IntColumn, Ints, picked_ints, picked_strings
from ddpm.data.streamed import Streamed
from ddpm.images.arrays import Array, is_tensor, pixels_of
from ddpm.images.geometry import Geometry
from ddpm.images.photo import opened
from ddpm.images.pixels import Pixels
from ddpm.images.sheets import plain
from ddpm.system.errors import InputError
from ddpm.system.names import Mode

Derive = Callable[[Pixels, Sequence[str]], npt.NDArray[Any]]
"""Images (b, H, W, C) uint8 and their names -> raw conditions, (b, …)."""

EncodeCaptions = Callable[[Sequence[str]], npt.NDArray[Any]]
"""Captions -> raw conditions of the kind "caption", (b, …); zeros for ""."""

STATISTICS = 8192
"""The most images that are decoded for statistics of the channels, where they are not stored decoded."""
IN_A_ROW = 100
"""The most images in a row that may be unusable."""
CHUNK, COUNTED = 1024, 2**20
"""The number of images, and of labels, to count at a time."""


class Images(Protocol):
    """A set of images of one size that is read in parts."""

    def __len__(self) -> int: ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        ...

    def read(self, indices: Ints) -> Pixels:
        """The images at these indices, (b, H, W, C) uint8."""
        ...


ReadRows = Callable[[Ints, Ints], tuple[npt.NDArray[Any], Ints]]
"""Positions in a batch and stored rows, (b,) each -> values (b, …), and which of the b cannot be used."""


class EncodedImages(Protocol):
    """All images of a set as encoded by a codec, read in parts."""

    def read(self, rows: Ints, mirrored: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[Any]:
        """The encoded images in these rows, (b, …), or the encoded mirrored images where requested."""
        ...


@dataclass(frozen=True, eq=False)
class Dataset:
    """N images, in memory or in a file that each process maps.

    Attributes:
        pixels: (M, H, W, C) uint8, as stored, or decoded when read; shared by all subsets.
        labels: (N,) int64.
        classes: the name of each label.
        captions: One string per image, whose lines are its captions, "" for an image without; None if no image has one.
        names: The names of the images in their source.
        fingerprint: A hash of all stored data, the same for every subset.
        rows: (N,) int64, the rows of the N images in pixels; None for all of them in order.
        partners: Paired images by kind of condition, one per image in the same order; see ``ddpm.data.pairs``.
        derived: Kind of condition -> the function that derives it from images (b, H, W, C) and their names.
        latents: The moments of the latents of all stored images, for training in place of these.
        encode: Encodes captions for batches, which have none if it is None.
        validation: The number of images at the end that are held out; 0 holds out some at random.
    """

    pixels: Pixels | Streamed
    labels: IntColumn | None = None
    classes: tuple[str, ...] = ()
    captions: Sequence[str] | None = None
    names: Sequence[str] = ()
    fingerprint: str = ""
    rows: IntColumn | None = None
    partners: Mapping[str, "Dataset"] = field(default_factory=dict)
    derived: Mapping[str, Derive] = field(default_factory=dict)
    latents: "EncodedImages | None" = None
    encode: EncodeCaptions | None = None
    validation: int = 0

    @classmethod
    def of(
        cls,
        images: Array | Sequence[Image.Image],
        labels: Sequence[str] | Sequence[int] | None = None,
        captions: Captions | None = None,
    ) -> Self:
        """A data set of images in memory.

        Args:
            images: PIL images of one size and mode; or an array (N, H, W) or (N, H, W, C), of uint8 or of floats in
                [0, 1]; or a tensor (N, C, H, W), of uint8 or of floats in [-1, 1]. C is 1, 3 or 4.
            labels: The class of each image, by name or by number from 0.
            captions: The caption of each image, or a list of several; "", an empty list or None for an image without.

        Raises:
            InputError: if the images, labels or captions have another form.
        """
        if isinstance(images, Sequence):
            each = [Geometry().apply(plain(opened(image)[1])) for image in images]
            if len(shapes := {one.shape for one in each}) != 1:
                raise InputError(
                    "invalid", f"the images have {len(shapes)} sizes or modes; convert all to the same size and mode"
                )
            pixels = np.stack(each)
        else:
            pixels = pixels_of(images)
            if is_tensor(images) and images.is_floating_point() and not images.min() < 0:
                raise InputError(
                    "invalid", "the tensor has no value below 0, but floats must range from -1 to 1; use 2 * x - 1"
                )
            pixels = pixels[..., None] if pixels.ndim == 3 and not is_tensor(images) else pixels
        if pixels.ndim != 4 or pixels.shape[-1] not in (1, 3, 4) or not pixels.size:
            raise InputError(
                "invalid",
                f"the images have the shape {tuple(getattr(images, 'shape', pixels.shape))}; use an array (N, H, W) "
                "or (N, H, W, C) or a tensor (N, C, H, W), with 1, 3 or 4 channels",
            )
        texts = strings_of(captions, len(pixels), "the images")
        if labels is None:
            return cls(pixels, captions=texts)
        try:
            listed = np.asarray(labels)
        except (ValueError, TypeError) as error:
            raise InputError("invalid", f"the labels are not a list ({error}); use one per image") from error
        names, classes = class_names(listed, (), len(pixels), "the images")
        numbers = np.array([classes.index(name) for name in names if name is not None], np.int64)
        return cls(pixels, numbers, classes, texts)

    def __len__(self) -> int:
        return len(self.pixels if self.rows is None else self.rows)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        height, width, channels = self.pixels.shape[1:]
        return height, width, channels

    @property
    def mode(self) -> Mode:
        modes: dict[int, Mode] = {1: "L", 3: "RGB", 4: "RGBA"}
        return modes[self.pixels.shape[-1]]

    @property
    def images(self) -> Pixels:
        """(N, H, W, C) uint8; read into memory if this is a subset."""
        if self.rows is None and not isinstance(self.pixels, Streamed):
            return self.pixels
        return self.read(np.arange(len(self)))

    def read(self, indices: Ints) -> Pixels:
        """A copy of the images at these indices in 0 … N - 1, (b, H, W, C); see :meth:`take`."""
        return self.take(indices)[0]

    def take(self, indices: Ints) -> tuple[Pixels, Ints]:
        """A copy of the images at these indices, (b, H, W, C), and their indices.

        If images are decoded as they are read, one that cannot be used is replaced by the next.

        Raises:
            InputError: if many in a row cannot be used, or the disk fails.
        """
        if not isinstance(self.pixels, Streamed):
            return np.asarray(self.pixels[self.stored_rows(indices)]), indices
        decode = self.pixels.decode
        return self.replacing(indices, lambda _, rows: decode(rows))

    def replacing(self, indices: Ints, read: ReadRows) -> tuple[npt.NDArray[Any], Ints]:
        """Read the images at these indices, each that cannot be used replaced by the next.

        Returns:
            The values (b, …), and their indices.

        Raises:
            InputError: if many in a row cannot be used.
        """
        indices = indices.copy()
        values, failed = read(np.arange(len(indices)), self.stored_rows(indices))
        for _ in range(IN_A_ROW):
            if not len(failed):
                return values, indices
            indices[failed] = (indices[failed] + 1) % len(self)
            values[failed], again = read(failed, self.stored_rows(indices[failed]))
            failed = failed[again]
        known = len(self.pixels.unusable) if isinstance(self.pixels, Streamed) else 0
        last = f" ({self.unusable(known - 1)[0]})" if known else ""
        raise InputError("unreadable", f"{IN_A_ROW} images in a row cannot be used{last}; fix them, or leave them out")

    def read_exactly(self, indices: Ints) -> Pixels:
        """A copy of the images at these indices, none replaced.

        Raises:
            InputError: if one cannot be used.
        """
        pixels, found = self.take(indices)
        if len(other := np.flatnonzero(found != indices)):
            name = self.names[int(indices[other[0]])]
            raise InputError("unreadable", f"the image {name} cannot be used; `ddpm check` names all such images")
        return pixels

    @property
    def streamed(self) -> bool:
        """Whether images are decoded as they are read."""
        return isinstance(self.pixels, Streamed)

    def unusable(self, known: int = 0) -> list[str]:
        """The names of the images that were read and cannot be used, with the reasons, after the first ``known``."""
        if not isinstance(self.pixels, Streamed):
            return []
        items, found = self.pixels.source.items, list(self.pixels.unusable.items())
        return [f"{items[number].name}: {reason}" for number, reason in found[known:]]

    def sample(self, most: int) -> "Dataset":
        """Some images, evenly spread, as a set of their own if images are decoded as they are read; else all."""
        if not isinstance(self.pixels, Streamed) or (self.rows is None and len(self) <= most):
            return self
        some = self.subset(self.spread(most))
        rows = np.asarray(some.rows)
        own = sha256(self.fingerprint.encode() + rows.tobytes()).hexdigest()
        return replace(some, pixels=self.pixels.picked(rows), rows=None, fingerprint=own)

    def stored_rows(self, indices: Ints) -> Ints:
        """The rows in ``pixels`` of the images at these indices."""
        return indices if self.rows is None else np.asarray(self.rows[indices])

    def subset(self, indices: IntColumn) -> "Dataset":
        """The data set of these images, in this order, sharing the pixels."""
        return replace(
            self,
            labels=None if self.labels is None else picked_ints(self.labels, indices),
            captions=None if self.captions is None else picked_strings(self.captions, indices),
            names=picked_strings(self.names, indices) if self.names else (),
            rows=indices if self.rows is None else picked_ints(self.rows, indices),
            partners={kind: partner.subset(indices) for kind, partner in self.partners.items()},
            validation=0,
        )

    def spread(self, most: int) -> Ints:
        """The indices of at most this many images, evenly spread, as they may be sorted by class."""
        n = len(self)
        return np.arange(n) if n <= most else np.linspace(0, n - 1, most).round().astype(np.int64)

    def class_counts(self) -> Ints:
        """The number of images of each class, (classes,)."""
        counts = np.zeros(len(self.classes), np.int64)
        for start in range(0, len(self) if self.labels is not None else 0, COUNTED):
            assert self.labels is not None
            here = self.labels[np.arange(start, min(start + COUNTED, len(self)))]
            counts += np.bincount(here, minlength=len(counts))
        return counts

    def __getstate__(self) -> dict[str, Any]:
        # Otherwise the contents of a mapped file would be sent to other processes.
        pixels = self.pixels
        if isinstance(pixels, np.memmap) and pixels.filename is not None:
            return self.__dict__ | {"pixels": (pixels.filename, pixels.shape)}
        return self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        if isinstance(state["pixels"], tuple):
            state = state | {"pixels": map_pixels(*state["pixels"])}
        self.__dict__.update(state)


def channel_stats(images: Images) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and standard deviation of each channel over all images, (C,) each, in units of [-1, 1]."""
    channels = images.shape[-1]
    counts = np.zeros((channels, 256))
    for start in range(0, len(images), CHUNK):
        pixels = images.read(np.arange(start, min(start + CHUNK, len(images))))
        counts += [np.bincount(pixels[..., c].ravel(), minlength=256) for c in range(channels)]
    values = np.arange(256) / 127.5 - 1
    weights = counts / counts.sum(1, keepdims=True)
    mean = weights @ values
    return mean, np.sqrt((weights * (values - mean[:, None]) ** 2).sum(1))


def map_pixels(path: Path, shape: tuple[int, ...]) -> Pixels:
    """A file of raw values as a read-only, memory-mapped array."""
    return np.memmap(path, np.uint8, "r", shape=shape)
