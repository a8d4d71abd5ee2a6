"""The optimiser of a run, and its state before the first step."""

import torch
from torch import nn

from ddpm.config.training import TrainSettings
from ddpm.core.model import Model
from ddpm.training.muon import Muon


def make_optimizer(model: Model, settings: TrainSettings, device: torch.device) -> torch.optim.Optimizer:
    """Make the optimiser of all weights of a model on ``device``, without state until its first step."""
    s, fused = settings, device.type in ("cpu", "cuda")
    if s.optimizer == "muon":
        # bfloat16 only where the network's own products are: elsewhere a CPU may have no instructions for it
        dtype = torch.bfloat16 if device.type == "cuda" or s.precision == "bf16" else torch.float32
        hidden, others = parted(model)
        return Muon(
            hidden, others, lr=s.learning_rate, betas=s.betas, weight_decay=s.weight_decay, dtype=dtype, fused=fused
        )
    return torch.optim.AdamW(model.parameters(), s.learning_rate, s.betas, weight_decay=s.weight_decay, fused=fused)


def parted(model: Model) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The matrices of the network's layers, and all other weights.

    Biases, norms, embeddings, and the modules and parameters in ``net.outer`` are not among them. The first and last
    convolutions are: with AdamW, they learn more slowly.
    """
    outer = {*getattr(model.net, "outer", ())}

    def inner(name: str) -> bool:
        parts = name.split(".")
        return not {parts[0], parts[-1]} & outer

    hidden = [p for name, p in model.net.named_parameters() if p.ndim >= 2 and inner(name)]
    matrices = set(hidden)
    return hidden, [p for p in model.parameters() if p not in matrices]


def create_moments(optimizer: torch.optim.Optimizer) -> None:
    """Create the optimiser's state as its first step does: zeros."""
    for group in optimizer.param_groups:
        for p in group["params"]:
            state = optimizer.state[p]
            adam = "betas" in group  # Muon counts no steps and has no second moment
            if adam:
                state["step"] = torch.zeros((), dtype=torch.float32, device=p.device)
            state["exp_avg"] = torch.zeros_like(p)
            if adam:
                state["exp_avg_sq"] = torch.zeros_like(p)
