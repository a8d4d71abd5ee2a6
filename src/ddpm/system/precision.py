"""The fastest safe precision of a device."""

from typing import NamedTuple

import torch

from ddpm.system.names import PrecisionName


class Precision(NamedTuple):
    """A precision and, in words, the reason for it."""

    name: PrecisionName
    reason: str


def best_precision(device: torch.device) -> Precision:
    """bf16 where the hardware supports it, else fp16 (with loss scaling) on GPUs, else fp32.

    bf16 comes first: it has float32's range, so nothing overflows to NaN.
    """
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Precision("bf16", "the GPU computes bf16 natively")
        return Precision("fp16", "the GPU has no native bf16; fp16 with loss scaling")
    if device.type == "cpu":
        if _cpu_has("_is_amx_tile_supported"):
            return Precision("bf16", "the CPU has AMX tiles for bf16")
        if _cpu_has("_is_avx512_bf16_supported"):
            return Precision("bf16", "the CPU has AVX512-BF16")
        return Precision("fp32", "the CPU has no native bf16")
    return Precision("fp32", f"fp32 on {device.type}")


def _cpu_has(name: str) -> bool:
    # Private in every release so far; a release that removes it only costs speed.
    ask = getattr(torch.cpu, name, None)
    return bool(ask and ask())
