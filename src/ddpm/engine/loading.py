"""Load a run from its folder."""

from pathlib import Path

import torch

from ddpm import build
from ddpm.engine.codec import open_codec
from ddpm.engine.diffusion import Diffusion
from ddpm.engine.run import LoadedRun
from ddpm.records.average import folder_of
from ddpm.records.guidance import Average, GuidanceRecord
from ddpm.records.run_folder import RunFolder, Weights, weights_hash
from ddpm.system.allocator import keep_freed_memory
from ddpm.system.device import device_of
from ddpm.system.errors import InputError
from ddpm.training import checkpoint as checkpoints


def load(path: str | Path, device: str | torch.device | None = None, *, own: bool = False) -> LoadedRun:
    """Load a run folder, or one checkpoint in it, from its config.json and safetensors files alone.

    Args:
        path: the run folder (its averaged weights), or ``RUN/checkpoints/step-…`` (the weights at that step).
        device: the device to load to; if None CUDA or MPS where available, else the CPU.
        own: load the weights in ``model.safetensors`` even if a search found a better average.

    Raises:
        InputError: the folder is not a run, or its files are damaged or belong to another model.
    """
    folder = Path(path)
    where = device_of(device)
    if folder.is_file():
        raise InputError("invalid", f"{folder} is {_kind(folder)}, not a run folder; use the run folder itself")
    run = RunFolder.open(folder)
    config = run.config()
    weights, known, guided = current_weights(run, own=own)
    keep_freed_memory()
    model = build.build_model(config, lambda empty: checkpoints.check_fit(empty.state_dict(), weights, str(folder)))
    checkpoints.load_into(model.state_dict(), weights, str(folder))
    model.to(where).eval().requires_grad_(False)
    record = run.tuned()
    tuned = tuple(grid.sampling for grid in record.grids) if record and record.weights == known else ()
    engine = Diffusion.of(config, model, where, open_codec(run, config, where))
    text = build.build_text(config, where, folder=run.text.absolute())
    return LoadedRun(engine, config, folder, known, tuned, guided, text=text)


def current_weights(run: RunFolder, *, own: bool = False) -> tuple[Weights, str, GuidanceRecord | None]:
    """The weights that a run samples with, their hash, and the search for guidance that used them.

    Args:
        own: the weights in ``model.safetensors`` even if a search found a better average.

    Raises:
        InputError: they are missing or damaged.
    """
    weights, guided = run.weights(), run.guidance()
    known = weights_hash(weights)
    if guided is not None and not guided.suits(known):
        guided = None
    if guided is not None and guided.average is not None and run.checkpoint is None and not own:
        weights, known = _chosen(run, guided.average), guided.average.weights
    return weights, known, guided


def _chosen(run: RunFolder, average: Average) -> Weights:
    """The average that a search chose instead of the run's own weights."""
    folder, again = folder_of(run, average.length), f"ddpm average {run.path} --length {average.length:g}"
    advice = f"run `{again}`, or remove {run.guidance_file}"
    if not folder.is_dir():
        raise InputError("missing", f"{folder}, whose weights {run.path} samples with, is missing; {advice}")
    weights = RunFolder(run.path, folder).weights()
    if weights_hash(weights) != average.weights:
        raise InputError(
            "incompatible", f"the weights of {folder}, which {run.path} samples with, have changed; {advice}"
        )
    return weights


def _kind(path: Path) -> str:
    head = path.open("rb").read(8)
    if head.startswith(b"\x89PNG"):
        return "a PNG picture (reproduce one with `ddpm sample --from`)"
    if head.startswith(b"PK") or path.suffix in (".pt", ".pth", ".ckpt", ".bin"):
        return "a PyTorch pickle or ZIP file (never read, for safety)"
    return "a file of weights" if path.suffix == ".safetensors" else f"a file of {path.suffix or 'unknown'} type"
