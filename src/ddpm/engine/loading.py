"""Load a run from its folder."""

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
        device: the device to load to; if None CUDA or MPS where available, else the CPU.

    Raises:
        InputError: the folder is not a run, or its files are damaged or belong to another model.
    """
    folder = Path(path)
    where = device_of(device)
    if folder.is_file():
        raise InputError("invalid", f"{folder} is {_kind(folder)}, not a run folder; use the run folder itself")
    run = RunFolder.open(folder)
    config, weights = run.config(), run.weights()
    keep_freed_memory()
    model = build.build_model(config)
    checkpoints.load_into(model.state_dict(), weights, str(folder))
    model.to(where).eval().requires_grad_(False)
    known, record = fingerprint(weights), run.tuned()
    tuned = tuple(grid.sampling for grid in record.grids) if record and record.weights == known else ()
    guided = run.guidance()
    if guided is not None and guided.weights != known:
        guided = None
    return LoadedRun(Diffusion.of(config, model, where), config, folder, known, tuned, guided)


def _kind(path: Path) -> str:
    head = path.open("rb").read(8)
    if head.startswith(b"\x89PNG"):
        return "a PNG picture (reproduce one with `ddpm sample --from`)"
    if head.startswith(b"PK") or path.suffix in (".pt", ".pth", ".ckpt", ".bin"):
        return "a PyTorch pickle or ZIP file (never read, for safety)"
    return "a file of weights" if path.suffix == ".safetensors" else f"a file of {path.suffix or 'unknown'} type"
