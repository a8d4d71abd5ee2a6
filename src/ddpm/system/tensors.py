"""Files of tensors in the format safetensors."""

import math
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from ddpm.system.files import open_regular, parse_json
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
        size, length = os.fstat(file.fileno()).st_size, int.from_bytes(file.read(8), "little")
        if length > min(LONGEST_HEADER, size - 8):
            raise ValueError(pointer_in(path) or f"{size} bytes, but a header of {length}")
        header = parse_json(file.read(length))
    try:
        ends = [one["data_offsets"][1] for name, one in header.items() if name != "__metadata__"]
        if 8 + length + max(ends, default=0) != size:
            raise ValueError(f"{size} bytes, not as many as its header lists")
    except (AttributeError, LookupError, TypeError) as error:
        raise ValueError("its header lists no tensors") from error
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
