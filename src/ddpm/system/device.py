"""The device to compute on, and the fastest safe precision of it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ddpm.system.errors import InputError
from ddpm.system.names import PrecisionName


def best_device() -> torch.device:
    """The GPU if there is one, otherwise the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def device_of(name: str | torch.device | None) -> torch.device:
    """The device of this name; for None, the best one available.

    Raises:
        InputError: this machine has no such device.
    """
    if name is None:
        return best_device()
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as e:
        raise InputError(
            "device", f"device {name} is not available; use cpu, or omit the device to select the best one"
        ) from e
    return device


@contextmanager
def exact_convolutions() -> Iterator[None]:
    """A context, or a decorator, in which cuDNN convolves deterministically, and in float32 instead of TF32."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield


def best_precision(device: torch.device) -> tuple[PrecisionName, str]:
    """bf16 where the hardware supports it, else fp16 (with loss scaling) on GPUs, else fp32; and the reason, in words.

    bf16 comes first: it has float32's range, so nothing overflows to NaN.
    """
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16", "the GPU computes bf16 natively"
        return "fp16", "the GPU has no native bf16; fp16 with loss scaling"
    if device.type == "cpu":
        if _cpu_has("_is_amx_tile_supported"):
            return "bf16", "the CPU has AMX tiles for bf16"
        if _cpu_has("_is_avx512_bf16_supported"):
            return "bf16", "the CPU has AVX512-BF16"
        return "fp32", "the CPU has no native bf16"
    return "fp32", f"fp32 on {device.type}"


def _cpu_has(name: str) -> bool:
    # Private in every release so far; a release that removes it only costs speed.
    ask = getattr(torch.cpu, name, None)
    return bool(ask and ask())
