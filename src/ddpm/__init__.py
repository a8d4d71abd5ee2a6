"""ddpm: train, sample and understand denoising diffusion models."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["InputError", "Pipeline", "Score", "__version__", "evaluate", "load"]

if TYPE_CHECKING:
    from ddpm.evaluation.evaluate import evaluate
    from ddpm.pipeline import Pipeline, load
    from ddpm.records.score import Score
    from ddpm.system.errors import InputError

_ROOMS = {
    "load": "ddpm.pipeline",
    "Pipeline": "ddpm.pipeline",
    "evaluate": "ddpm.evaluation.evaluate",
    "Score": "ddpm.records.score",
    "InputError": "ddpm.system.errors",
}


def __getattr__(name: str) -> Any:
    # Loaded at first use, so that `ddpm --help` never waits for torch.
    if name not in _ROOMS:
        raise AttributeError(f"module 'ddpm' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_ROOMS[name]), name)
