"""States of lucidrains' denoising-diffusion-pytorch, which the package made."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

MADE = load_file(Path(__file__).parent / "agreement" / "data" / "lucidrains.safetensors")


def made(case: str, part: str) -> dict[str, torch.Tensor]:
    prefix = f"{case}/{part}/"
    return {name.removeprefix(prefix): tensor for name, tensor in MADE.items() if name.startswith(prefix)}


def trainers_file(path: Path, state: dict[str, torch.Tensor]) -> Path:
    """A file as the package's Trainer saves it, where ``state`` is that of the averaged weights."""
    torch.save(trainers_state(state), path)
    return path


def trainers_state(state: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Its contents; the weights of the last step are zeros."""
    online = OrderedDict((name.removeprefix("ema_model."), torch.zeros_like(t)) for name, t in state.items())
    moments = {0: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(3)}}
    return {
        "step": 100,
        "model": online,
        "opt": {"state": moments, "param_groups": [{"lr": 1e-4, "betas": (0.9, 0.99), "params": [0]}]},
        "ema": OrderedDict(
            {f"online_model.{name}": tensor for name, tensor in online.items()}
            | state
            | {"initted": torch.tensor(True), "step": torch.tensor(100)}
        ),
        "scaler": None,
        "version": "2.3.4",
    }
