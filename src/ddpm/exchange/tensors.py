"""Tensors of another program, each of which must be used exactly once."""

from collections.abc import Mapping
from typing import Self

import torch

from ddpm.system.errors import InputError
from ddpm.system.tensors import finite


class ForeignTensors:
    """Tensors by name. A tensor that is missing, left over, or has another shape than expected is named in an error.

    Args:
        tensors: by their names in the source.
        source: a path, which names the source in errors.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor], source: str) -> None:
        self.source = source
        self._left, self._prefix = dict(tensors), ""

    def under(self, prefix: str) -> Self:
        """The tensors whose names start with a prefix, by the rest of their names; both share what is taken."""
        part = type(self)({}, self.source)
        part._left, part._prefix = self._left, self._prefix + prefix
        return part

    def names(self) -> list[str]:
        """The names of the tensors that are left, sorted."""
        return sorted(name[len(self._prefix) :] for name in self._left if name.startswith(self._prefix))

    def __contains__(self, name: str) -> bool:
        return self._prefix + name in self._left

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor that is left, without taking it.

        Raises:
            InputError: there is none of this name.
        """
        return tuple(self._find(name).shape)

    def take(self, name: str, shape: tuple[int, ...] | None = None) -> torch.Tensor:
        """Take a tensor, in float32 if it is of floating point; the next call does not find it.

        Args:
            shape: the shape that it must have; None for any.

        Raises:
            InputError: there is none of this name left, its shape differs, or a value is not finite.
        """
        found = self._find(name)
        if shape is not None and tuple(found.shape) != shape:
            raise InputError(
                "incompatible",
                f"{self.source} does not fit its settings: {self._prefix}{name} has shape {tuple(found.shape)}, not "
                f"{shape}; use the settings saved with it",
            )
        if not finite(found):
            raise InputError(
                "unreadable",
                f"{self.source} is damaged: {self._prefix}{name} has values that are not finite; download it again",
            )
        del self._left[self._prefix + name]
        return found.float() if found.is_floating_point() else found

    def finish(self) -> None:
        """Check that none is left.

        Raises:
            InputError: some are.
        """
        if left := self.names():
            several = f" and {len(left) - 3} more" if len(left) > 3 else ""
            named = ", ".join(self._prefix + name for name in left[:3])
            raise InputError(
                "incompatible",
                f"{self.source} has tensors that its network does not use: {named}{several}; use the settings saved "
                "with it",
            )

    def _find(self, name: str) -> torch.Tensor:
        try:
            return self._left[self._prefix + name]
        except KeyError:
            raise InputError(
                "incompatible",
                f"{self.source} has no tensor {self._prefix}{name}, which its network needs; use the settings saved "
                "with it",
            ) from None
