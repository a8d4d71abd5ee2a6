"""Where it was measured."""

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import torch

PEAK_TFLOPS = {
    "B200": 2250,
    "H200": 989,
    "H100 PCIe": 756,
    "H100 NVL": 835,
    "H100": 989,
    "A100": 312,
    "L40S": 362,
    "L4": 121,
    "A10G": 70,
    "A10": 125,
    "RTX 4090": 165,
    "RTX 3090": 71,
}
"""Dense bf16 with float32 accumulation, by the makers' data sheets; the first name that the device's contains."""


def peak_tflops() -> float | None:
    """What the GPU could compute in bf16; None where there is none or it is not in the table."""
    if not torch.cuda.is_available():
        return None
    # "L4" must not find an L40
    names = f"{torch.cuda.get_device_name()} ".replace("-", " ")
    return next((tflops for name, tflops in PEAK_TFLOPS.items() if f"{name} " in names), None)


def machine(device: str, threads: int) -> dict[str, str]:
    """In words, for the record."""
    gpu = {"GPU": f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"} if device == "cuda" else {}
    return gpu | {
        "CPU": f"{_cpu()}, {os.cpu_count()} cores, {threads} threads used",
        "system": platform.platform(),
        "versions": f"Python {sys.version.split()[0]}, "
        + ", ".join(f"{name} {version(name)}" for name in ("ddpm", "torch", "diffusers", "accelerate")),
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip() + _units()
    return platform.processor() or platform.machine()


def _units() -> str:
    """What it has for bf16, which the name alone may not say."""
    has = [name for name, ask in _UNITS.items() if getattr(torch.cpu, ask, lambda: False)()]
    return f" with {' and '.join(has)}" if has else ""


_UNITS = {"AMX": "_is_amx_tile_supported", "AVX512-BF16": "_is_avx512_bf16_supported"}
