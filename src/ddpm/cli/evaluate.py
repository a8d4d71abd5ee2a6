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
        Parameter(help=f"The network that looks: {', '.join(get_args(FeaturesName))}; the first if not given."),
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
    """Measure a run, one checkpoint of it, or a folder of images against real ones.

    What is drawn stays in the run folder: the command goes on where it was interrupted, and other features or real
    images find the samples there. Start it by torchrun to draw with several processes.

    Parameters
    ----------
    what
        A run folder, a checkpoint in it, or a folder (.zip, .npz) of generated images.
    data
        The real images; by default all of the source that the run was trained on. Of a run of super-resolution, large
        images; by default those that the run held out.
    training
        For a folder of images: what its generator was trained on, to look for copies of; the real images by default.
    n
        The number of samples to draw; 2,000 if not given. Of a run of super-resolution the number of images to make
        large; 1,000 if not given.
    weights
        Its file (inception), or its folder or name (dinov2, clip); fetched once where not given.
    steps
        Steps of the solver, the run's own where not given. Several, as in 5,10,20, are measured in turn.
    checkpoints
        Measure the run's earlier checkpoints, too.
    seed
        Sample i is a function of the seed and i alone; 0 if not given.
    batch
        Samples in memory at a time, 1 to 64; 64 if not given.
    augment, consistent
        Of a run of super-resolution, which is measured beside bicubic interpolation: see `ddpm upscale`.
    size
        Of a folder's images: what all are brought to, 64 or height x width, if they differ.
    mode
        Of a folder's images: what all are brought to, if they differ.
    fit
        For images of another shape; crop if not given.
    skip_bad
        Go on without images that cannot be read.
    out
        Also write the score to this file.
    device
        cpu, cuda or mps; the best there is by default.
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
            raise InputError(
                "missing", f"{what} does not exist; give a run folder, a checkpoint in it, or a folder of images"
            )
        call(evaluate_folder, "a folder of images", what, **asked)
    elif run.config().upscaling is not None:
        call(evaluate_upscaling, "a run of super-resolution", path, **asked)
    else:
        call(evaluate_run, "a run that draws images from noise", path, **asked)
