"""Device selection."""

import torch

from ddpm.system.errors import InputError


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
