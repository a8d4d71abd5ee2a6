"""Write a run as a pipeline of diffusers."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ddpm.config.codec import AutoencoderCodecConfig
from ddpm.config.dit import PlainDiTSettings
from ddpm.config.guidance import GuidanceConfig
from ddpm.config.network import UNetSettings
from ddpm.config.plain_unet import PlainUNetSettings
from ddpm.config.sampling import SamplingConfig
from ddpm.config.text import CLIPTokensConfig
from ddpm.engine.options import settings as resolved
from ddpm.engine.run import LoadedRun
from ddpm.exchange.diffusers.autoencoder import write_autoencoder
from ddpm.exchange.diffusers.card import card
from ddpm.exchange.diffusers.dit_pipeline import write_dit
from ddpm.exchange.diffusers.folder import PIPELINE, as_json, write_part
from ddpm.exchange.diffusers.scheduler import write_scheduler
from ddpm.exchange.diffusers.unet import LABELS, write_unet
from ddpm.exchange.imported import drafted_folder, refuse_other_files
from ddpm.exchange.text_to_image import NULL_TOKENS
from ddpm.records.codec import StoredCodec
from ddpm.records.run_folder import RunFolder, Weights
from ddpm.system.errors import InputError
from ddpm.system.files import write_file
from ddpm.text.folder import TOKENIZER

BIAS = "time_embedding.linear_2.bias"
"""The name of the bias that is added to the embedding of every timestep."""
PROMPTED = {
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "safety_checker": [None, None],
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "_diffusers_version": "0.42.1",  # those of 0.5 had another pipeline that inpaints
}
"""The index of a pipeline with prompts."""
MULTISTEP = ("dpm++", "sde-dpm++", "unipc", "deis")
"""Solvers whose pipelines get DPM-Solver++; the others get DDIM."""


@dataclass(frozen=True)
class Component:
    """A part of a pipeline.

    Attributes:
        config: the contents of its config.json.
        weights: its tensors; None for a scheduler.
    """

    config: dict[str, Any]
    weights: Weights | None = None


@dataclass(frozen=True)
class Written:
    """A pipeline.

    Attributes:
        name: its class.
        parts: those of diffusers, by their folders.
        index: further entries of its index.
        files: further files, by their paths in its folder.
        call: the arguments of a call that samples, in Python.
        notes: what is different from the run, one line each.
    """

    name: str
    parts: dict[str, Component]
    index: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    call: str = ""
    notes: tuple[str, ...] = ()


def export_diffusers(run: LoadedRun, out: Path, label: str | None = None) -> list[str]:
    """Write a folder that ``DiffusionPipeline.from_pretrained`` opens.

    Args:
        label: the class that a pipeline without labels draws; None for none in particular.

    Returns:
        Lines on what was written, and how to open it.

    Raises:
        InputError: diffusers cannot express the run (the message names the setting to use); the folder is not empty, or
            a file cannot be written.
    """
    refuse_other_files(out)
    how = resolved(run, {})
    try:
        made = _pipeline(run, how, label)
    except InputError as error:
        if error.code != "incompatible":
            raise
        raise InputError("incompatible", f"{error}; or use --to onnx") from error
    with drafted_folder(out) as draft:
        for name, part in made.parts.items():
            if part.weights is None:
                write_file(draft / name / "scheduler_config.json", as_json(part.config))
            else:
                write_part(draft / name, part.config, part.weights)
        for path, source in made.files.items():
            write_file(draft / path, source.read_bytes())
        text = card(run.config, made.name, out.absolute().name, made.call, made.notes)
        write_file(draft / "README.md", text.encode())
        parts = {name: ["diffusers", part.config["_class_name"]] for name, part in made.parts.items()}
        write_file(draft / PIPELINE, as_json({"_class_name": made.name, **parts, **made.index}))
    said = ", ".join(f"{name} {part.config['_class_name']}" for name, part in made.parts.items())
    opened = f'open it with diffusers.DiffusionPipeline.from_pretrained("{out}"), and sample with pipeline({made.call})'
    return [f"{made.name}: {said}", *made.notes, opened]


def _pipeline(run: LoadedRun, how: SamplingConfig, label: str | None) -> Written:
    """The pipeline of a run.

    Raises:
        InputError: diffusers cannot express the run.
    """
    config, net = run.config, run.config.network
    captions = "" if config.text is None else f"captions by {config.text.summary}"
    for has, what, fix in (
        (config.distillation, "a student, which takes its own timesteps", "export its teacher"),
        (config.upscaling, "super-resolution of this kind", "export a run without --scale"),
        (captions and not isinstance(config.text, CLIPTokensConfig), captions, "train it with --no-text"),
        (
            config.data.mode == "RGBA" and not config.codec.in_pixels,
            "latents of RGBA images",
            "train it with --mode RGB",
        ),
        (captions and config.codec.in_pixels, "captions of pixels", "train it with --codec"),
    ):
        if has:
            raise InputError("incompatible", f"diffusers has no pipeline for {what}; {fix}")
    if isinstance(net, PlainDiTSettings):
        return _dit(run, net, how, label)
    if isinstance(net, UNetSettings | PlainUNetSettings):
        return _unet(run, net, how, label)
    raise InputError(
        "incompatible", f"diffusers has no pipeline for a network {net.kind}; train one with --network plain-unet"
    )


def _dit(run: LoadedRun, net: PlainDiTSettings, how: SamplingConfig, label: str | None) -> Written:
    _, height, width = run.engine.shape
    for needs, found, fix in (
        ("class labels", run.learned_labels, "train it on subfolders, without --no-labels"),
        ("latents", not run.config.codec.in_pixels, "train it with --codec, or use --network plain-unet"),
        ("square images", height == width, "train it on square images"),
    ):
        if not found:
            raise InputError("incompatible", f"diffusers' DiTPipeline requires {needs}; {fix}")
    if label is not None:
        raise InputError("conflict", "--label has no effect, as DiTPipeline is asked for classes; leave it out")
    steady = run.config.diffusion.model_copy(update={"variance": "small"})  # it ignores a learned variance
    parts = {
        "transformer": Component(*write_dit(net, _weights(run), height)),
        "vae": _vae(run),
        "scheduler": Component(write_scheduler(steady, how, _kind(how))),
    }
    names = {str(i): name for i, name in enumerate(run.classes)}
    call = f"[0], guidance_scale={how.guidance_scale:g}, num_inference_steps={how.steps}"
    return Written("DiTPipeline", parts, {"id2label": names}, call=call, notes=_unguided(how, scale=True))


def _unet(run: LoadedRun, net: UNetSettings | PlainUNetSettings, how: SamplingConfig, label: str | None) -> Written:
    weights = _weights(run)
    prompted = weights.pop(NULL_TOKENS, None) is not None
    unet, notes = _folded(run, Component(*write_unet(net, weights, run.engine.shape[1:])), label)
    notes += _unguided(how, scale=prompted)
    call, pixels = f"num_inference_steps={how.steps}", run.config.codec.in_pixels
    scheduler = Component(write_scheduler(run.config.diffusion, how, "DDIM" if pixels else _kind(how)))
    if pixels:
        # as here, where the noise is computed from the clipped image
        call += ", use_clipped_model_output=True" if how.clips else ""
        return Written("DDIMPipeline", {"unet": unet, "scheduler": scheduler}, call=call, notes=notes)
    if not prompted:
        if run.engine.shape[1] != run.engine.shape[2]:
            raise InputError("incompatible", "diffusers' LDMPipeline requires square images; train it on square images")
        parts = {"vqvae": _vae(run), "unet": unet, "scheduler": scheduler}
        return Written("LDMPipeline", parts, call=call, notes=notes)
    stored = sorted(file for file in RunFolder.open(run.source).text.iterdir() if file.is_file())
    files = {f"{'tokenizer' if file.name in TOKENIZER else 'text_encoder'}/{file.name}": file for file in stored}
    name, given = ("Inpaint", ", image, mask_image") if run.config.inpainting else ("", "")
    call = f'"a cat"{given}, guidance_scale={how.guidance_scale:g}, {call}'
    parts = {"vae": _vae(run), "unet": unet, "scheduler": scheduler}
    return Written(f"StableDiffusion{name}Pipeline", parts, PROMPTED, files, call, notes)


def _folded(run: LoadedRun, unet: Component, label: str | None) -> tuple[Component, tuple[str, ...]]:
    """A network that draws one class, whose embedding is added to that of every timestep, and a line about it.

    Raises:
        InputError: the class is unknown, or missing for a network that was trained on classes alone.
    """
    assert unet.weights is not None
    tensors = dict(unet.weights)
    table = tensors.pop(LABELS, None)
    if table is None:
        return unet, ()
    if label is None and run.needs_label:
        raise InputError(
            "conflict",
            f"{run.source} was trained on classes alone, and the pipeline has none; choose one with --label, as in "
            f"--label {run.classes[0]}",
        )
    number = -1 if label is None else run.vocabulary.number(label)
    tensors[BIAS] = tensors[BIAS] + table[number]
    drawn = "no class in particular; choose one with --label" if label is None else run.classes[number]
    note = f"the pipeline has no classes, and draws {drawn}"
    return Component({**unet.config, "num_class_embeds": None}, tensors), (note,)


def _unguided(how: SamplingConfig, *, scale: bool) -> tuple[str, ...]:
    """A line about guidance that the pipeline does not have.

    Args:
        scale: whether it has a guidance scale.
    """
    found = how.guidance
    if found is None or (scale and found == GuidanceConfig(scale=found.scale)):
        return ()
    return (f"guidance {found.words} becomes {f'{found.scale:g} alone' if scale else 'none'}",)


def _weights(run: LoadedRun) -> Weights:
    return {name: tensor.detach().float().cpu() for name, tensor in run.engine.model.state_dict().items()}


def _vae(run: LoadedRun) -> Component:
    assert isinstance(run.config.codec, AutoencoderCodecConfig)
    return Component(*write_autoencoder(StoredCodec.read(RunFolder.open(run.source).codec), shifts=False))


def _kind(how: SamplingConfig) -> str:
    return "DPMSolverMultistep" if how.solver.name.startswith(MULTISTEP) else "DDIM"
