"""The networks of diffusers themselves, where the package is installed, to compare an import with."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from ddpm.core.condition import Cond
from ddpm.engine.run import LoadedRun
from ddpm.exchange.diffusers.folder import CONFIG, class_name, weights_file
from ddpm.exchange.forward import TIMESTEP, fixed_input

PARTS = ("unet", "transformer")
"""The folders of a pipeline that hold its network."""
ENDINGS = ("safetensors", "bin", "index", "json")
CLASSES = ("UNet2DModel", "UNet2DConditionModel", "DiTTransformer2DModel", "Transformer2DModel")


@torch.no_grad()
def difference(path: Path, run: LoadedRun) -> float | None:
    """The largest difference between the outputs of a run and of diffusers' own network on one input.

    Args:
        path: the folder that the run was imported from.
        run: on the CPU.

    Returns:
        The difference in standard deviations of the output; None if diffusers is not installed or cannot open the
        folder, or the model is none of its networks.
    """
    folder = next((path / part for part in PARTS if (path / part).is_dir()), path)
    name = class_name(folder / CONFIG)
    if name not in CLASSES or find_spec("diffusers") is None:
        return None
    import diffusers

    kind: Any = getattr(diffusers, "DiTTransformer2DModel" if name == "Transformer2DModel" else name)
    how = {"variant": _variant(weights_file(folder)), "local_files_only": True, "low_cpu_mem_usage": False}
    try:
        net = kind.from_pretrained(str(folder), **how).float().eval()
    except Exception:  # of many types, as for names of files that it does not know, which we read
        return None
    raw = {"label": torch.zeros(1, dtype=torch.int64)} if run.classes else {}
    cond = run.engine.cond(raw, [0], run.config.sampling)
    x, t = fixed_input(1, *run.engine.shape), torch.full((1,), TIMESTEP)
    ours = run.engine.model.net(x, t, cond)
    theirs = net(x if cond is None or cond.image is None else torch.cat([x, cond.image], 1), t, **_given(cond)).sample
    return float((ours - theirs).abs().max() / theirs.std())


def _given(cond: Cond | None) -> dict[str, torch.Tensor]:
    """Conditions as the arguments of a network of diffusers."""
    found = {}
    if cond is not None and cond.raw is not None and "label" in cond.raw:
        found["class_labels"] = cond.raw["label"]
    if cond is not None and cond.tokens is not None:
        found["encoder_hidden_states"] = cond.tokens
    return found


def _variant(file: Path) -> str | None:
    """The variant in the name of a file of weights: "fp16" in "model.fp16.safetensors"."""
    return next((word for word in file.name.split(".")[1:] if word not in ENDINGS), None)
