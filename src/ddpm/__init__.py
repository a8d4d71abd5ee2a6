"""ddpm: train, sample and understand denoising diffusion models."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "Dataset",
    "InputError",
    "Pipeline",
    "Score",
    "__version__",
    "distill",
    "evaluate",
    "import_model",
    "load",
    "train",
]

if TYPE_CHECKING:
    from ddpm.data.dataset import Dataset
    from ddpm.evaluation.evaluate import evaluate
    from ddpm.pipeline import Pipeline, distill, import_model, load, train
    from ddpm.records.score import Score
    from ddpm.system.errors import InputError

_MODULES = {
    "train": "ddpm.pipeline",
    "distill": "ddpm.pipeline",
    "import_model": "ddpm.pipeline",
    "load": "ddpm.pipeline",
    "Pipeline": "ddpm.pipeline",
    "Dataset": "ddpm.data.dataset",
    "evaluate": "ddpm.evaluation.evaluate",
    "Score": "ddpm.records.score",
    "InputError": "ddpm.system.errors",
}


def __getattr__(name: str) -> Any:
    # Imported at first use, so that `ddpm --help` does not wait for torch.
    if name not in _MODULES:
        raise AttributeError(f"module 'ddpm' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES[name]), name)
