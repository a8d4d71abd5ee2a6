"""ddpm: train, sample and understand denoising diffusion models."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["InputError", "Pipeline", "__version__", "load"]

if TYPE_CHECKING:
    from ddpm.errors import InputError
    from ddpm.pipeline import Pipeline, load

_ROOMS = {"load": "ddpm.pipeline", "Pipeline": "ddpm.pipeline", "InputError": "ddpm.errors"}


def __getattr__(name: str) -> Any:
    # Loaded at first use, so that `ddpm --help` never waits for torch.
    if name not in _ROOMS:
        raise AttributeError(f"module 'ddpm' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_ROOMS[name]), name)
