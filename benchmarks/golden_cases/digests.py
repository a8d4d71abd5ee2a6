"""Hashes of pictures, tensors and records, blind to how the files are laid out."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageSequence
from safetensors.torch import load_file


def digest(parts: Iterable[bytes]) -> str:
    """The first 16 hex digits of SHA-256 over the parts and their lengths."""
    state = hashlib.sha256()
    for part in parts:
        state.update(len(part).to_bytes(8, "little") + part)
    return state.hexdigest()[:16]


def pictures(paths: Iterable[Path]) -> str:
    """The decoded pixels of every frame, in the order given; neither names, compression nor metadata count."""
    return digest(part for path in paths for part in _pixels(path))


def numbered(folder: Path, ending: str = "png") -> str:
    """The pictures 00000.png, 00001.png … of a folder, without the contact sheet.

    Raises:
        FileNotFoundError: There are none.
    """
    found = sorted(path for path in folder.glob(f"*.{ending}") if path.stem.isdecimal())
    if not found:
        raise FileNotFoundError(f"no numbered .{ending} in {folder.name}")
    return pictures(found)


def tensors(path: Path) -> dict[str, str]:
    """A safetensors file: a hash with the tensors' names, and one that a renamed module leaves alone."""
    return named_tensors(load_file(path))


def named_tensors(found: dict[str, torch.Tensor]) -> dict[str, str]:
    """The two hashes of :func:`tensors`, of tensors in memory."""
    raw = {name: _raw(tensor) for name, tensor in found.items()}
    both = (part for name in sorted(raw) for part in (name.encode(), raw[name]))
    return {"named": digest(both), "unnamed": digest(sorted(raw.values()))}


def values(*found: torch.Tensor) -> str:
    """Tensors in memory, in the order given."""
    return digest(map(_raw, found))


def numbers(tree: Any, keys: Iterable[str]) -> dict[str, str]:
    """For each key that occurs at any depth, all numbers below it, to the last digit.

    They are sorted within one occurrence, so that what is below a key may be renamed or moved.

    Raises:
        KeyError: None of the keys occurs.
    """
    found = {key: [repr(sorted(_leaves(value))) for value in _under(tree, key)] for key in keys}
    found = {key: texts for key, texts in found.items() if any(text != "[]" for text in texts)}
    if not found:
        raise KeyError(f"none of {', '.join(keys)}")
    return {key: digest(text.encode() for text in texts) for key, texts in found.items()}


def record(path: Path, keys: Iterable[str]) -> dict[str, str]:
    """:func:`numbers` of a JSON file, or of a file with a JSON object a line."""
    text = path.read_text(encoding="utf-8")
    tree = [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)
    return numbers(tree, keys)


def _pixels(path: Path) -> Iterator[bytes]:
    with Image.open(path) as image:
        for frame in ImageSequence.Iterator(image):
            shown = frame if frame.mode != "P" else frame.convert("RGB")
            yield f"{shown.mode} {shown.size}".encode()
            yield np.ascontiguousarray(shown).tobytes()


def _raw(tensor: torch.Tensor) -> bytes:
    flat = tensor.detach().cpu().contiguous()
    return f"{flat.dtype} {tuple(flat.shape)} ".encode() + flat.reshape(-1).view(torch.uint8).numpy().tobytes()


def _under(tree: Any, key: str) -> Iterator[Any]:
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for name, value in children:
        if name == key:
            yield value
        else:
            yield from _under(value, key)


def _leaves(tree: Any) -> Iterator[float]:
    if isinstance(tree, dict | list):
        for value in tree.values() if isinstance(tree, dict) else tree:
            yield from _leaves(value)
    elif isinstance(tree, int | float) and not isinstance(tree, bool):
        yield float(tree)
