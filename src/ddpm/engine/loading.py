"""From a folder to a loaded run."""

from pathlib import Path

import torch

from ddpm import build
from ddpm.engine.diffusion import Diffusion
from ddpm.engine.run import LoadedRun
from ddpm.records.run_folder import RunFolder, fingerprint
from ddpm.system.allocator import keep_freed_memory
from ddpm.system.device import device_of
from ddpm.system.errors import InputError
from ddpm.training import checkpoint as checkpoints


def load(path: str | Path, device: str | torch.device | None = None) -> LoadedRun:
    """Load a run folder, or one checkpoint in it, from its config.json and safetensors files alone.

    Args:
        path: the run folder (its averaged weights), or ``RUN/checkpoints/step-…`` (those of that step).
        device: CUDA or MPS where there is one if None, else the CPU.

    Raises:
        InputError: the folder is not a run, or its files are damaged or of another model.
    """
    folder = Path(path)
    where = device_of(device)
    if not folder.exists():
        raise InputError("missing", f"{folder} does not exist; give a run folder that `ddpm train` made")
    if not folder.is_dir():
        raise InputError("invalid", f"{folder} is a file ({_kind(folder)}); give the run folder that holds it")
    run = RunFolder.open(folder)
    config, weights = run.config(), run.weights()
    keep_freed_memory()
    model = build.build_model(config)
    checkpoints.load_into(model.state_dict(), weights, str(folder))
    model.to(where).eval().requires_grad_(False)
    known, record = fingerprint(weights), run.tuned()
    tuned = tuple(grid.sampling for grid in record.grids) if record and record.weights == known else ()
    return LoadedRun(Diffusion.of(config, model, where), config, folder, known, tuned)


def _kind(path: Path) -> str:
    head = path.open("rb").read(8)
    if head.startswith(b"\x89PNG"):
        return "a PNG picture; `ddpm sample --from` repeats one"
    if head.startswith(b"PK") or path.suffix in (".pt", ".pth", ".ckpt", ".bin"):
        return "a PyTorch pickle or a zip, which is never read here"
    return "weights" if path.suffix == ".safetensors" else f"of type {path.suffix or 'unknown'}"
