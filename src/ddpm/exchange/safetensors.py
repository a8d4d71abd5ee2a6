"""Write a run as a single file of weights."""

from importlib.metadata import version
from pathlib import Path

import torch
from safetensors.torch import save as tensors_to_bytes

from ddpm.engine.run import LoadedRun
from ddpm.exchange.imported import refuse_other_files
from ddpm.records.codec import StoredCodec
from ddpm.records.run_folder import RunFolder
from ddpm.system.errors import InputError
from ddpm.system.files import write_file


def export_safetensors(run: LoadedRun, out: Path) -> list[str]:
    """Write the weights with all settings in the file's metadata, as the contents of config.json.

    The autoencoder of a run in latents is in it as well: its tensors begin with "codec.", and its config.json and
    latents.json are in the metadata as "codec" and "latents".

    Args:
        out: the file.

    Raises:
        InputError: the name does not end in .safetensors, or the file exists or cannot be written.
    """
    if out.suffix != ".safetensors":
        raise InputError("invalid", f"{out} is not the name of a single file; use --out {out}.safetensors")
    refuse_other_files(out)
    tensors = dict(run.engine.model.state_dict())
    metadata = {"format": "pt", "writer": f"ddpm {version('ddpm')}", "config": run.config.to_json()}
    if not run.config.codec.in_pixels:
        stored = StoredCodec.read(RunFolder.open(run.source).codec)
        tensors |= {f"codec.{name}": tensor for name, tensor in stored.weights.items()}
        metadata |= {"codec": stored.config.to_json(), "latents": stored.latents.to_json()}
    own = {name: tensor.cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    write_file(out, tensors_to_bytes(own, metadata))
    return [f"{out}: {len(own)} tensors and the settings; `ddpm.load` opens the run folder, as before"]
