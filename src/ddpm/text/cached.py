"""The features of a data set's captions, encoded once: a memory-mapped file."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import _lru_cache_wrapper, cache
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ddpm.system.arrays import read_npy
from ddpm.system.cache import ADVICE, captions_folder
from ddpm.system.errors import InputError
from ddpm.system.files import write_file
from ddpm.system.growing import written_once
from ddpm.system.progress import Progress, silent
from ddpm.text.pretrained import PretrainedEncoder, in_parts, prompts_of

CHUNK = 256
"""The number of captions that are encoded, and written to disk, at a time."""


@dataclass(frozen=True, eq=False)
class CachedFeatures:
    """A PromptEncoder that reads the features of known captions from a file, in the precision of float16.

    Attributes:
        rows: The prompt of a caption -> its number.
        ends: (N,) the number of tokens up to the end of each caption.
        features: (tokens, E + 1) float16, mapped: the features of all captions, each token with its weight.
        length: L.
        encoder: Loads the encoder of unknown prompts, once.
    """

    rows: dict[str, int]
    ends: npt.NDArray[np.int64]
    features: npt.NDArray[np.float16]
    length: int
    encoder: "_lru_cache_wrapper[PretrainedEncoder]"

    @property
    def net(self) -> torch.nn.Module | None:
        """The network of the encoder; None if it was not loaded yet."""
        net: torch.nn.Module | None = self.encoder().net if self.encoder.cache_info().currsize else None
        return net

    def __call__(self, prompts: Sequence[str]) -> npt.NDArray[np.float32]:
        """The features and the weight of each token, (B, L, E + 1)."""
        found = np.zeros((len(prompts), self.length, self.features.shape[1]), np.float32)
        unknown = []
        for i, prompt in enumerate(prompts):
            if (row := self.rows.get(prompt.strip())) is not None:
                own = self.features[self.ends[row - 1] if row else 0 : self.ends[row]]
                found[i, : len(own)] = own
            elif prompt.strip():
                unknown.append(i)
        if unknown:
            found[unknown] = self.encoder()([prompts[i] for i in unknown])
        return found

    def notes(self, prompt: str) -> list[str]:
        """Where a prompt that is too long is cut."""
        return self.encoder().notes(prompt)


def cached_features(
    captions: Iterable[str],
    key: str,
    width: int,
    length: int,
    encoder: Callable[[], PretrainedEncoder],
    progress: Progress = silent,
) -> CachedFeatures:
    """The features of captions, which are encoded unless the cache has them.

    The file is keyed by the encoder, the length and the captions. It grows caption by caption: a killed call is resumed
    at the last complete one, and concurrent calls share it.

    Args:
        captions: read as plain text, so that "(3:45)" is no weight; each line of a string is one.
        key: the hash of the encoder.
        width: E, the channels of a token's features.
        length: L, the number of rows of a prompt.
        encoder: loads the encoder, which is only called for captions that the cache lacks, and once.
        progress: called with (captions done, in total).

    Raises:
        InputError: the encoder cannot be loaded, its features overflow float16, or the cache cannot be written.
    """
    known, loaded = prompts_of(captions), cache(encoder)
    rows = {prompt: i for i, prompt in enumerate(known)}
    if not known:
        return CachedFeatures(rows, np.zeros(0, np.int64), np.zeros((0, width + 1), np.float16), length, loaded)
    folder = captions_folder(key, length, hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16])
    ends = _ends(folder / "ends.npy", known, loaded)

    def encoded(first: int, last: int) -> memoryview:
        found = loaded()(known[first:last])
        sizes = np.diff(ends[first:last], prepend=ends[first - 1] if first else 0)
        with np.errstate(over="ignore"):  # which is detected below
            half = np.concatenate([rows[:n] for rows, n in zip(found, sizes, strict=True)]).astype(np.float16)
        if not np.isfinite(half).all():
            raise InputError(
                "invalid", "the text encoder gives features that are not finite in float16; use another --text"
            )
        return half.data

    row = 2 * (width + 1)  # two bytes each
    path = written_once(folder / "features.f16", row * ends, CHUNK, encoded, "the features of captions", progress)
    return CachedFeatures(
        rows, ends, np.memmap(path, np.float16, "r", shape=(int(ends[-1]), width + 1)), length, loaded
    )


def _ends(path: Path, prompts: Sequence[str], encoder: Callable[[], PretrainedEncoder]) -> npt.NDArray[np.int64]:
    """The number of tokens up to the end of each caption, from a file, or counted and written to it."""
    try:
        ends = read_npy(path)
        if ends.shape == (len(prompts),) and ends.dtype == np.int64:
            return ends
    except (OSError, ValueError):  # missing or damaged
        pass
    whole = BytesIO()
    counts = [len(own.ids) for tokens in in_parts(encoder().tokens, prompts) for own in tokens]
    ends = np.cumsum(counts, dtype=np.int64)
    np.save(whole, ends)
    write_file(path, whole.getvalue(), ADVICE)
    return ends
