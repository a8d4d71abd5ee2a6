"""Runs that attend to the tokens of CLIP, as pipelines of Stable Diffusion in the format of diffusers."""

from pathlib import Path
from typing import Any

from ddpm.config.plain_unet import PlainUNetSettings
from ddpm.config.run import RunConfig
from ddpm.engine.run import LoadedRun
from ddpm.exchange.diffusers.autoencoder import write_autoencoder
from ddpm.exchange.diffusers.folder import PIPELINE, as_json, write_part
from ddpm.exchange.diffusers.scheduler import write_scheduler
from ddpm.exchange.diffusers.unet import write_unet
from ddpm.exchange.text_to_image import NULL_TOKENS
from ddpm.records.codec import StoredCodec
from ddpm.records.run_folder import RunFolder
from ddpm.system.files import write_file
from ddpm.text.folder import TOKENIZER

NAMES = {"unet": "diffusers", "vae": "diffusers", "text_encoder": "transformers", "tokenizer": "transformers"}
"""The parts, and the packages of their classes."""
NONE = ("safety_checker", "feature_extractor", "image_encoder")
"""The parts that an exported pipeline lacks."""


def suits(config: RunConfig) -> bool:
    """Whether a run can be such a pipeline."""
    return config.text is not None and config.text.kind == "clip-tokens"


def write_stable_diffusion(run: LoadedRun, out: Path) -> list[str]:
    """Write a run as a pipeline: the same weights bit for bit, and the files of the text encoder as they are.

    Returns:
        Lines that say how to open it.

    Raises:
        InputError: the network or the process cannot be expressed there, or a file cannot be written.
    """
    config, folder = run.config, RunFolder.open(run.source)
    assert isinstance(config.network, PlainUNetSettings)
    weights = {name: tensor.cpu() for name, tensor in run.engine.model.state_dict().items() if name != NULL_TOKENS}
    unet, tensors = write_unet(config.network, weights, config.shape[1:])
    vae, first_stage = write_autoencoder(StoredCodec.read(folder.codec))
    kind = "DPMSolverMultistep" if "dpm++" in config.sampling.solver.name else "DDIM"
    scheduler = write_scheduler(config.diffusion, config.sampling, kind)
    write_part(out / "unet", unet, tensors)
    write_part(out / "vae", vae, first_stage)
    for file in sorted(folder.text.iterdir()):
        part = "tokenizer" if file.name in TOKENIZER else "text_encoder"
        write_file(out / part / file.name, file.read_bytes())
    write_file(out / "scheduler" / "scheduler_config.json", as_json(scheduler))
    classes = {
        "unet": unet["_class_name"],
        "vae": vae["_class_name"],
        "text_encoder": "CLIPTextModel",
        "tokenizer": "CLIPTokenizer",
    }
    name = "StableDiffusionPipeline"
    index: dict[str, Any] = {"_class_name": name, "requires_safety_checker": False}
    index |= {part: [package, classes[part]] for part, package in NAMES.items()}
    index |= {"scheduler": ["diffusers", scheduler["_class_name"]], **{part: [None, None] for part in NONE}}
    write_file(out / PIPELINE, as_json(index))
    return [f'open it with diffusers.{name}.from_pretrained("{out}")']
