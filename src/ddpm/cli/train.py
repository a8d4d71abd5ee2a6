"""``ddpm train``."""

import time
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from ddpm.cli.flags import flags, given
from ddpm.config.run import RunConfig
from ddpm.planning.request import KEYS
from ddpm.system.names import Fit, Mode, PrecisionName

OF_COMMAND = ("device", "tensorboard", "dry_run")
"""Flags of this command rather than of the run."""


@flags(RunConfig, KEYS)
class Flags:
    """The options of a run.

    Args:
        for_: The time to train for: 90s, 20m, 1h30m. The speed is measured first, and the time converted to a number of
            images.
        images: The number of images to train on, counting repeats: 500k, 2M. A larger one trains a run for longer.
        recipe: auto (default): the largest network that the budget can train. ho2020, nichol2021: the CIFAR-10 models
            of DDPM and Improved DDPM. super-resolution: a model that enlarges images, for `ddpm upscale`. autoencoder:
            a network that compresses images to latents, for --codec.
        scale: For super-resolution: the factor to enlarge by; 4 by default.
        low: For super-resolution: the small images, paired by name; averages of the large ones by default.
        factor: For an autoencoder: how many times smaller the latents are per side; by default 4, or 8 for images of
            256 pixels or more.
        latent_channels: For an autoencoder: channels of the latents; 4 by default, or 8 with a factor above 4.
        adversarial: For an autoencoder: train against a discriminator in the second half, for sharper details.
        lpips: For an autoencoder: a file with the weights of LPIPS, for the loss to compare images by.
        size: Side of the images, or height x width: 64, 48x64.
        mode: Mode to convert the images to; required if they have several.
        fit: How to resize images of a different aspect ratio; crop by default.
        skip_bad: Skip images that cannot be read.
        split: Which folder to train on if DATA has train, val and test; by default train, with val held out. "all"
            trains on all of them.
        max_pixels: The largest number of pixels of an image to read, such as 400M; 179M by default. Larger JPEGs are
            read at a fraction of their size.
        labels: Condition on the classes, if there are any; on by default.
        text: How to encode captions, if the images have some: words (default), a vocabulary of these captions; minilm;
            or the folder of a text encoder: CLIP, T5 or BERT.
        no_text: Leave out the captions.
        betas: A file of betas, one per timestep, in place of --schedule: a JSON list, or the output of NumPy's savetxt.
        precision: Precision of the network; the best that the device supports natively by default.
        codec: Train on the latents of this autoencoder, a run of --recipe autoencoder, instead of pixels.
        during_training: Score the run on a few samples during training, and keep the best checkpoint.
        tune_guidance: Search for the guidance that suits the run at its end, in about a tenth of the time; on by
            default, unless the run is too short.
        set_: Set any key of the config, as in --set training.ema=0.999. May be repeated.
        device: cpu, to train without the GPU; the best available by default.
        tensorboard: Also write TensorBoard logs.
        dry_run: Print the plan and the measured time and memory, and stop.
    """

    for_: Annotated[str | None, Parameter(name="--for")] = None
    images: str | None = None
    recipe: str | None = None
    scale: int | None = None
    low: str | None = None
    factor: int | None = None
    latent_channels: int | None = None
    adversarial: bool | None = None
    lpips: str | None = None
    size: str | None = None
    mode: Mode | None = None
    fit: Fit | None = None
    skip_bad: bool | None = None
    split: str | None = None
    max_pixels: str | None = None
    labels: bool | None = None
    text: str | None = None
    no_text: Annotated[bool | None, Parameter(negative=())] = None
    betas: str | None = None
    precision: PrecisionName | None = None
    codec: str | None = None
    during_training: bool | None = None
    tune_guidance: bool | None = None
    set_: Annotated[list[str] | None, Parameter(name="--set")] = None
    device: Literal["cpu"] | None = None
    tensorboard: bool = False
    dry_run: bool = False


UNCHANGED = Flags()
"""The recipe's own settings."""


def train(data: str, *, out: Path | None = None, flags: Flags = UNCHANGED) -> None:
    """Train on a folder of images. Re-run the same command to resume.

    Args:
        data: A folder (subfolders are classes), a .zip of one, an .npz, .tar or .parquet files, or the built-in
            "digits".
        out: The run folder; runs/NAME by default.
    """
    began = time.monotonic()
    from ddpm.cli.training import exits
    from ddpm.evaluation.during import few_samples
    from ddpm.evaluation.guidance import after_training
    from ddpm.evaluation.reconstruction import measure_autoencoder
    from ddpm.planning.autoencoder_session import AutoencoderSession
    from ddpm.planning.recipes import AUTOENCODER
    from ddpm.planning.request import default_out
    from ddpm.planning.session import Session
    from ddpm.planning.training import Command
    from ddpm.system.allocator import keep_freed_memory

    keep_freed_memory()
    out = out or default_out(data)
    how = {flag: getattr(flags, flag) for flag in OF_COMMAND}
    asked = {flag: value for flag, value in given(flags).items() if flag not in OF_COMMAND}
    session = Session(data, asked, Command(out, few_samples, after_training, **how), began)
    with exits():
        if flags.recipe == AUTOENCODER:
            AutoencoderSession(session, measure_autoencoder).run()
        else:
            session.run()
