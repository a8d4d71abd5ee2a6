"""``ddpm evaluate``."""

from pathlib import Path
from typing import Annotated, get_args

from cyclopts import Parameter

from ddpm.cli.flags import call
from ddpm.cli.sampling import UNCHANGED, Sampling
from ddpm.system.names import FeaturesName, Fit, Mode


def evaluate(
    what: str,
    *,
    data: str | None = None,
    training: str | None = None,
    n: Annotated[int | None, Parameter(name=["-n", "--n"])] = None,
    features: Annotated[
        str | None,
        Parameter(help=f"The feature extractor: {', '.join(get_args(FeaturesName))}; the first by default."),
    ] = None,
    weights: str | None = None,
    steps: list[str] | None = None,
    flags: Sampling = UNCHANGED,
    checkpoints: bool | None = None,
    seed: int | None = None,
    batch: int | None = None,
    augment: float | None = None,
    consistent: bool | None = None,
    size: str | None = None,
    mode: Mode | None = None,
    fit: Fit | None = None,
    skip_bad: bool | None = None,
    out: Path | None = None,
    device: str | None = None,
) -> None:
    """Score a run, one of its checkpoints, or a folder of images against real images.

    Samples are kept in the run folder: re-run the command to resume, or to score the same samples with other features
    or real images. Launch it with torchrun to sample in several processes.

    Args:
        what: A run folder, a checkpoint in it, or a folder, .zip or .npz of generated images.
        data: The real images; the run's data by default. For a super-resolution run, the large images; its held-out
            images by default.
        training: For a folder of images: the generator's training data, to detect copies of; the real images by
            default.
        n: The number of samples to draw; 2,000 by default. For a super-resolution run, the number of images to enlarge;
            1,000 by default.
        weights: The extractor's file (inception), or its folder or name (dinov2, clip); downloaded once by default.
        steps: The number of solver steps; the run's own by default. Several, as in 5,10,20, are scored in turn.
        checkpoints: Also score the run's earlier checkpoints.
        seed: The random seed; 0 by default. Sample i depends on the seed and i alone.
        batch: The number of samples drawn at a time, 1 to 64; 64 by default.
        augment: For a super-resolution run, which is compared with bicubic interpolation: see `ddpm upscale`.
        consistent: For a super-resolution run: see `ddpm upscale`.
        size: For a folder of images of different sizes: the size to resize them to, 64 or height x width.
        mode: For a folder of images of different modes: the mode to convert them to.
        fit: How to resize images of another shape; crop by default.
        skip_bad: Skip images that cannot be read.
        out: Also write the score to this file.
        device: cpu, cuda or mps; the best available by default.
    """
    asked = locals()  # the flags, and nothing else yet
    from ddpm.cli.evaluate_folder import evaluate_folder
    from ddpm.cli.evaluate_run import evaluate_run
    from ddpm.cli.evaluate_upscaling import evaluate_upscaling
    from ddpm.records.run_folder import RunFolder
    from ddpm.system.allocator import keep_freed_memory
    from ddpm.system.errors import InputError

    keep_freed_memory()
    del asked["what"], asked["flags"]
    asked["sampling"] = flags.given()
    path = Path(what)
    run = RunFolder.of(path)
    if run is None:
        if what != "digits" and not path.exists():
            raise InputError("missing", f"{what} does not exist; use a run folder, a checkpoint, or a folder of images")
        call(evaluate_folder, "a folder of images", what, **asked)
    elif run.config().upscaling is not None:
        call(evaluate_upscaling, "a super-resolution run", path, **asked)
    else:
        call(evaluate_run, "a run that is not super-resolution", path, **asked)
