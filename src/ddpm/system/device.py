"""Where tensors are computed on."""

import torch

from ddpm.system.errors import InputError


def best_device() -> torch.device:
    """A GPU where there is one."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def device_of(name: str | torch.device | None) -> torch.device:
    """The device of this name; the best there is for None.

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
            "missing", f"the device {name} is not here; leave it out for the best there is, or give cpu"
        ) from e
    return device
