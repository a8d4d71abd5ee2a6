"""``ddpm import`` and ``ddpm export``."""

import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ddpm.cli.output import logged_bar, say
from ddpm.system.names import ExportName


def import_model(
    path: Path,
    *,
    out: Path,
    flags: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    data: str | None = None,
) -> None:
    """Turn a model of another program into a run, for sampling, editing and evaluation.

    Only local files are read, and nothing in them is executed. A tensor in them that has no use is an error.

    Args:
        path: A folder of diffusers; or a file of weights of Stable Diffusion, OpenAI's guided-diffusion, lucidrains'
            denoising-diffusion-pytorch, or DiT.
        out: The run folder to write; for a classifier of OpenAI's, RUN/classifier.
        flags: Settings that a file of weights does not hold, as flags of its own program: "--num_heads 4
            --noise_schedule cosine".
        data: The images that it was trained on, if at hand: evaluate and likelihood then need no --data.
    """
    from ddpm.config.autoencoder import AutoencoderConfig
    from ddpm.config.classifier import ClassifierConfig
    from ddpm.config.run import RunConfig
    from ddpm.exchange.conversion import convert
    from ddpm.exchange.imported import PROMPT
    from ddpm.report.commands import sample

    with logged_bar("", "reading") as progress:
        done = convert(path, out, flags, data, progress)
    for title, lines in (("read", done.imported.read), ("inferred", done.imported.inferred)):
        for number, line in enumerate(lines):
            say(f"{'' if number else title:<11}{line}")
    say(f"{'forward':<11}{done.fingerprint.words}")
    if done.difference is not None:
        say(f"{'':<11}differs from that of diffusers by {done.difference:.1g} of its standard deviation")
    say(f"{'written':<11}{out}")
    match done.imported.config:
        case RunConfig() as config:
            say(f"next: {shlex.join(sample(config, out, None if config.text is None else PROMPT, most=1))}")
        case ClassifierConfig() as config:
            say(f"next: {config.follow_up(out.parent)}")
        case AutoencoderConfig() as config:
            say(f"next: {config.follow_up(out)}")


def export_model(run: Path, *, to: ExportName, out: Path, label: str | None = None) -> None:
    """Write a run in a form that other programs open.

    Args:
        run: A run folder, or one checkpoint in it.
        to: diffusers: a folder for its DiffusionPipeline.from_pretrained. onnx: the networks for onnxruntime.
            safetensors: one file of weights and settings.
        out: The folder to write; for safetensors, the file.
        label: The class, by name or number, that a pipeline without labels draws; none in particular by default.
    """
    from ddpm.engine.loading import load
    from ddpm.exchange.export import export

    for line in export(load(run, "cpu"), to, out, label):
        say(line)
