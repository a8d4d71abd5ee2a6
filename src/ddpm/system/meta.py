"""Tensors without memory, on the device "meta"."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import init
from torch.overrides import TorchFunctionMode

_RANDOM = (init.normal_, init.uniform_, init.kaiming_uniform_, torch.Tensor.normal_, torch.Tensor.uniform_)
"""Functions that draw all values of a tensor, and return it."""


class _Unset(TorchFunctionMode):
    """Draws no random values."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _RANDOM:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


@contextmanager
def shapes_only() -> Iterator[None]:
    """Within it, networks are made of tensors without memory.

    Without their initial values either: even where there is no memory for them, PyTorch draws random values, by code
    in Python that takes a second to import.
    """
    with torch.device("meta"), _Unset():
        yield
