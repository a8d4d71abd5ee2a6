"""The averaged weights of a run or of one of its checkpoints."""

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_from_bytes

from ddpm.system.errors import InputError
from ddpm.training import checkpoint as checkpoints

Weights = dict[str, torch.Tensor]
"""Tensors on the CPU by their names in the model."""


def run_folder(folder: Path) -> Path:
    """The run folder of a run or of one of its checkpoints."""
    return folder.absolute().parents[1] if (folder / "manifest.json").exists() else folder


def averaged(folder: Path) -> Weights:
    """What is in a run folder, or in ``RUN/checkpoints/step-…``.

    Raises:
        InputError: there are none yet, or they are damaged.
    """
    if not (folder / "manifest.json").exists():
        return _of_run(folder)
    try:
        return checkpoints.read(folder).tensors["ema"]
    except (checkpoints.Damaged, KeyError) as e:
        raise InputError(f"{folder} is damaged: {e}; load the run folder or another checkpoint") from e


def fingerprint(weights: Weights) -> str:
    """A hash of names and values, 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _of_run(folder: Path) -> Weights:
    path = folder / "model.safetensors"
    try:
        return tensors_from_bytes(path.read_bytes())
    except FileNotFoundError:
        raise InputError(
            f"{folder} has no model.safetensors yet; run its `ddpm train` command to the first checkpoint"
        ) from None
    except (SafetensorError, ValueError) as e:
        raise InputError(f"{path} is damaged ({e}); load a checkpoint in {folder / 'checkpoints'}") from e
