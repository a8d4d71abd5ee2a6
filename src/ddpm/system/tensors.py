"""Files of tensors in the format safetensors."""

import math
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from ddpm.system.files import open_regular
from ddpm.system.pointers import pointer_in

LONGEST_HEADER = 16 << 20
"""The largest header, which holds names, types and shapes, in bytes; published ones have less than 1 MB."""


def load_tensors(path: Path, prefix: str = "") -> dict[str, torch.Tensor]:
    """The tensors in a file, on the CPU and mapped into memory rather than read.

    Args:
        prefix: only those whose names begin with it, by the rest of their names.

    Raises:
        OSError: it cannot be read, or is not a regular file.
        ValueError: it is cut off, damaged, or no such file.
    """
    with open_regular(path) as file:
        length, size = int.from_bytes(file.read(8), "little"), path.stat().st_size
    if length > min(LONGEST_HEADER, size - 8):
        raise ValueError(pointer_in(path) or f"{size} bytes, but a header of {length}")
    try:
        with safe_open(path, "pt", "cpu") as tensors:
            names = [name for name in tensors.keys() if name.startswith(prefix)]  # noqa: SIM118
            return {name.removeprefix(prefix): tensors.get_tensor(name) for name in names}
    except (SafetensorError, RuntimeError, TypeError, LookupError, AttributeError) as error:
        raise ValueError((str(error).splitlines() or [type(error).__name__])[0]) from error


def finite(tensor: torch.Tensor) -> bool:
    """Whether all values are finite; of a large tensor, nothing of its size is allocated."""
    if not tensor.numel() or not tensor.is_floating_point():
        return True
    # types of 8 bits have no operations
    return all(math.isfinite(value) for value in torch.aminmax(tensor if tensor.element_size() > 1 else tensor.float()))
