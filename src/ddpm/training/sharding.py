"""Weights, gradients and moments divided among processes (Rajbhandari et al. 2020, ZeRO-3), with PyTorch's FSDP2.

Each process keeps a slice along the first axis of every tensor, a DTensor, and gathers those of one block at a time.
Whatever works on elements works on slices; the rest of the library sees whole tensors.
"""

from collections.abc import Mapping

import torch
from torch import nn


def blocks(net: nn.Module) -> list[nn.Module]:
    """The parts of a network that are gathered one at a time: the innermost members of its lists of modules."""
    lists = [module for module in net.modules() if isinstance(module, nn.ModuleList)]
    return [
        part for members in lists for part in members if not any(isinstance(m, nn.ModuleList) for m in part.modules())
    ]


def shard(module: nn.Module, net: nn.Module, device: torch.device) -> None:
    """Divide the weights of a module among all processes, in place; a forward pass gathers those of ``net`` by block.

    The parameters are replaced: make optimisers afterwards. In each step, every process must call the module equally
    often. Gradients are averaged over the processes, as in DistributedDataParallel.
    """
    from torch.distributed import get_world_size
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (get_world_size(),))
    for part in blocks(net):
        fully_shard(part, mesh=mesh)
    fully_shard(module, mesh=mesh)


def exchange(module: nn.Module, now: bool) -> None:
    """Average the gradients of the next backward pass, with those before, over the processes; or only add them up."""
    module.set_requires_gradient_sync(now)  # type: ignore[operator]


def own(tensor: torch.Tensor) -> torch.Tensor:
    """This process's slice of a tensor, which shares its memory; the tensor itself if it is whole."""
    slice_of = getattr(tensor, "to_local", None)
    return tensor if slice_of is None else slice_of()


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """The whole tensor. All processes must call this together."""
    gather = getattr(tensor, "full_tensor", None)
    return tensor if gather is None else gather()


def divided(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A whole tensor, divided as another one is."""
    if not hasattr(like, "full_tensor"):
        return tensor
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(like, DTensor)
    # every process has the whole tensor, so none needs to send it
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def gathered(tensors: Mapping[str, torch.Tensor], keep: bool) -> dict[str, torch.Tensor]:
    """Whole tensors by name, moved to the CPU if they were divided. All processes must call this together.

    Args:
        keep: whether this process needs them; otherwise those that were divided are empty.
    """
    found = {}
    for name, tensor in tensors.items():
        full = whole(tensor)
        if full is not tensor:
            full = full.cpu() if keep else full.new_empty(0)
        found[name] = full
    return found
