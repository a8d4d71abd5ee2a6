"""Pictures as arrays and tensors."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeGuard, Union, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from ddpm.images.pixels import Pixels, to_8_bits
from ddpm.images.sheets import opaque, png, row, sheet
from ddpm.system.errors import InputError

if TYPE_CHECKING:
    import torch

Array: TypeAlias = Union[npt.NDArray[Any], "torch.Tensor"]
Output = Literal["pil", "numpy", "torch"]


def is_tensor(given: object) -> "TypeGuard[torch.Tensor]":
    """Whether this is a torch tensor, determined without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(given, torch.Tensor)


def pixels_of(given: Array) -> Pixels:
    """An array (…, H, W, C) or (H, W), or a tensor (…, C, H, W) or (H, W), as uint8, channels last.

    Floats range from 0 to 1 in an array, and from -1 to 1 in a tensor; True is 255.

    Raises:
        InputError: if the type is another, or values are out of range.
    """
    low, values = 0, given
    if is_tensor(given):
        whole = given.detach().cpu()
        low, values = -1, (whole.float() if whole.is_floating_point() else whole).numpy()
        if values.ndim > 2:
            values = np.moveaxis(values, -3, -1)
    if not isinstance(values, np.ndarray):
        raise InputError(
            "invalid", f"{type(given).__name__} is not a picture; use a PIL image, a file, an array or a tensor"
        )
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    if values.dtype == np.bool_:
        return values * np.uint8(255)
    what = "tensor" if is_tensor(given) else "array"
    if not np.issubdtype(values.dtype, np.floating):
        raise InputError("invalid", f"the {what} has the type {values.dtype}; use uint8, or floats from {low} to 1")
    if not ((values >= low) & (values <= 1)).all():
        raise InputError(
            "invalid",
            f"the {what} has values from {values.min():g} to {values.max():g}; use floats from {low} to 1, or uint8",
        )
    return np.rint((values - low) * (255 / (1 - low))).astype(np.uint8)


def single(given: Array) -> bool:
    """Whether this is one picture; with three axes, a tensor always is, and an array (H, W, C) if C is at most 4."""
    return given.ndim < 3 or (given.ndim == 3 and (is_tensor(given) or given.shape[-1] <= 4))


class Pictures(list[Image.Image]):
    """A list of PIL images that notebooks show as a contact sheet."""

    def _repr_png_(self) -> bytes | None:
        if not self:
            return None
        shown = [np.asarray(opaque(image)) for image in self]
        alike = len({one.shape for one in shown}) == 1
        return png(sheet(np.stack(shown)) if alike else row(self))


def check_output(output: str) -> None:
    """Check that an output format is one of ``Output``.

    Raises:
        InputError: if it is not.
    """
    if output not in get_args(Output):
        raise InputError("unknown", f"output {output!r} is unknown; choose from {', '.join(get_args(Output))}")


def as_output(made: Image.Image | Sequence[Image.Image], output: Output) -> Any:
    """Pictures in the requested format.

    Args:
        output: "pil" returns a single picture unchanged and several as :class:`Pictures`; "numpy" is (N, H, W, C) and
            "torch" is (N, C, H, W), both uint8, with N = 1 for a single picture.

    Raises:
        InputError: if pictures for one array have several shapes.
    """
    if output == "pil":
        return made if isinstance(made, Image.Image) else Pictures(made)
    each = [np.asarray(image) for image in ([made] if isinstance(made, Image.Image) else made)]
    each = [np.atleast_3d(one if one.dtype == np.uint8 else to_8_bits(one)) for one in each]
    if len(shapes := {one.shape for one in each}) != 1:
        raise InputError(
            "invalid", f'the pictures have {len(shapes)} shapes, which do not fit in one array; use output="pil"'
        )
    stacked = np.stack(each)
    if output == "numpy":
        return stacked
    import torch

    # (N, H, W, C) -> (N, C, H, W)
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).contiguous()
