"""The Python interface: train a run, load one, sample from it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import torch
from PIL import Image

from ddpm.config.run import RunConfig
from ddpm.data.dataset import Dataset
from ddpm.engine.loading import load as load_run
from ddpm.engine.run import LoadedRun
from ddpm.engine.trajectory import Trajectory
from ddpm.evaluation.during import few_samples
from ddpm.evaluation.guidance import after_training
from ddpm.evaluation.reconstruction import measure_autoencoder
from ddpm.exchange.conversion import convert
from ddpm.exchange.export import export
from ddpm.exchange.hub import download
from ddpm.images.arrays import Output, as_output, check_output
from ddpm.images.photo import Given, Several
from ddpm.planning import distillation
from ddpm.planning.autoencoder_session import AutoencoderSession
from ddpm.planning.recipes import AUTOENCODER
from ddpm.planning.request import flags
from ddpm.planning.session import Session
from ddpm.planning.training import Command
from ddpm.records.provenance import Provenance
from ddpm.records.run_folder import RunFolder
from ddpm.system.allocator import keep_freed_memory
from ddpm.system.arguments import checked, plain
from ddpm.system.errors import InputError
from ddpm.system.names import HUB, AutoencoderName, ExportName, RecipeName
from ddpm.system.peers import together
from ddpm.tasks import edit, generate, inpaint, interpolate, likelihood, outpaint, restore, upscale


@dataclass(frozen=True)
class Pipeline:
    """A trained run, ready to use. Holds no state: many threads may share one.

    A picture may be a PIL image, a file, an array or a tensor; see :data:`~ddpm.images.photo.Given`. ``output`` selects
    the result: "pil", one PIL image for a single picture, else a list that notebooks display; "numpy", (N, H, W, C)
    uint8; or "torch", (N, C, H, W) uint8 on the CPU. PIL images carry their :class:`Provenance`.

    Attributes:
        run: the engine with its weights, and their provenance.
    """

    run: LoadedRun

    @property
    def config(self) -> RunConfig:
        """All settings of the run."""
        return self.run.config

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that can be requested; empty for an unconditional model."""
        return self.run.classes

    def sample(self, n: int = 1, *, output: Output = "pil", **arguments: Any) -> Any:
        """Draw new images; see :func:`ddpm.tasks.generate.sample`."""
        return self._made(output, generate.sample, n=n, **arguments)

    def trajectory(self, n: int = 1, **arguments: Any) -> Trajectory:
        """Draw new images and record their trajectory; see :func:`ddpm.tasks.generate.trajectory`."""
        return generate.trajectory(self.run, **checked({"n": n, **arguments}))

    def again(self, picture: Provenance | Image.Image | str | Path, *, output: Output = "pil") -> Any:
        """Reproduce a picture from its record, or that of a PNG; see :func:`ddpm.tasks.generate.again`."""
        if isinstance(picture, str | Path):
            record = Provenance.read(Path(picture))
        else:
            record = picture if isinstance(picture, Provenance) else Provenance.of(picture)
        return self._made(output, generate.again, record)

    def inpaint(self, images: Several, mask: Several, *, output: Output = "pil", **arguments: Any) -> Any:
        """Fill in masked parts of pictures; see :func:`ddpm.tasks.inpaint.inpaint`."""
        return self._made(output, inpaint.inpaint, images, mask, **arguments)

    def outpaint(self, images: Several, *, output: Output = "pil", **arguments: Any) -> Any:
        """Extend pictures beyond their borders; see :func:`ddpm.tasks.outpaint.outpaint`."""
        return self._made(output, outpaint.outpaint, images, **arguments)

    def edit(self, images: Several, strength: float, *, output: Output = "pil", **arguments: Any) -> Any:
        """Change pictures, slightly or strongly; see :func:`ddpm.tasks.edit.edit`."""
        return self._made(output, edit.edit, images, strength=strength, **arguments)

    def restore(self, images: Several, operator: str, *, output: Output = "pil", **arguments: Any) -> Any:
        """Restore damaged pictures; see :func:`ddpm.tasks.restore.restore`."""
        return self._made(output, restore.restore, images, operator, **arguments)

    def interpolate(self, first: Given, last: Given, *, output: Output = "pil", **arguments: Any) -> Any:
        """Interpolate between two pictures; see :func:`ddpm.tasks.interpolate.interpolate`."""
        return self._made(output, interpolate.interpolate, first, last, **arguments)

    def interpolate_conditions(self, *, output: Output = "pil", **arguments: Any) -> Any:
        """Sample between two prompts or classes; see :func:`ddpm.tasks.interpolate.interpolate_conditions`."""
        return self._made(output, interpolate.interpolate_conditions, **arguments)

    def upscale(self, images: Several, *, output: Output = "pil", **arguments: Any) -> Any:
        """Enlarge small pictures; see :func:`ddpm.tasks.upscale.upscale`."""
        return self._made(output, upscale.upscale, images, **arguments)

    def bits_per_dim(self, images: Several, method: str = "bound", **arguments: Any) -> torch.Tensor:
        """Measure bits per dimension of images; see :func:`ddpm.tasks.likelihood.bits_per_dim`."""
        return likelihood.bits_per_dim(self.run, images, method, **checked(arguments))

    def export(self, to: ExportName, out: str | Path, label: str | None = None) -> None:
        """Write the run in a form that other programs open; see :func:`ddpm.exchange.export.export`."""
        export(self.run, to, Path(out), label)

    def _made(self, output: Output, task: Callable[..., Any], *given: Any, **arguments: Any) -> Any:
        check_output(output)
        return as_output(task(self.run, *given, **checked(arguments)), output)


@overload
def train(
    data: str | Path | Dataset,
    *,
    out: str | Path,
    recipe: AutoencoderName,
    budget: str | int | None = None,
    device: str | None = None,
    tensorboard: bool = False,
    **config: Any,
) -> RunFolder: ...


@overload
def train(
    data: str | Path | Dataset,
    *,
    out: str | Path,
    recipe: RecipeName | None = None,
    budget: str | int | None = None,
    device: str | None = None,
    tensorboard: bool = False,
    **config: Any,
) -> Pipeline: ...


@together()
def train(
    data: str | Path | Dataset,
    *,
    out: str | Path,
    recipe: str | None = None,
    budget: str | int | None = None,
    device: str | None = None,
    tensorboard: bool = False,
    **config: Any,
) -> Pipeline | RunFolder:
    """Train a run, or resume it, and load it; bit for bit what ``ddpm train`` does with the same settings.

    May be called from any thread, but only for one run at a time per process, as they share random numbers.

    Args:
        data: a folder of images (subfolders are classes), a .zip of one, an .npz, .tar or .parquet files, "digits", or
            images in memory, which are stored in the run folder.
        out: the run folder. If it holds a run with the same settings, that run is resumed; with a larger budget, it is
            trained for longer.
        recipe: "auto" if None. Of an "autoencoder", the run folder is returned, for ``codec`` of another run.
        budget: a time, as in "20m", or a number of images, counting repeats; an hour, or the recipe's own, if None.
        device: "cpu", to train without the GPU; the best available if None.
        tensorboard: also write TensorBoard logs.
        config: values of the command's flags, by name (``size=64``, ``mode="L"``,
            ``labels=False``, ``text="minilm"``), and keys of the config: ``network={"width": 64},
            training={"ema": 0.999}``.

    Raises:
        InputError: an input is invalid, or ``out`` holds something else.
        Diverged: too many consecutive steps were not finite.
        Interrupted: by Ctrl-C, with everything saved; a second Ctrl-C ends the process.
    """
    _check_device(device)
    if not isinstance(data, str | Path | Dataset):
        raise InputError(
            "invalid", f"data cannot be of type {type(data).__name__}; use a path, or ddpm.Dataset.of(images)"
        )
    keep_freed_memory()
    images = data if isinstance(data, Dataset) else str(data)
    given = flags(plain(budget), plain({"recipe": recipe, **config}))
    command = Command(Path(out), few_samples, after_training, device=device, tensorboard=tensorboard)
    session = Session(images, given, command)
    if recipe == AUTOENCODER:
        AutoencoderSession(session, measure_autoencoder).run()
        return session.folder
    session.run()
    return load(out, device)


@together()
def distill(
    run: str | Path,
    *,
    out: str | Path,
    budget: str | int | None = None,
    device: str | None = None,
    tensorboard: bool = False,
    **options: Any,
) -> Pipeline:
    """Distil a run into a student that samples in few steps, or resume it, and load it, as ``ddpm distill`` does.

    Args:
        run: the teacher: a run folder, or one checkpoint in it.
        out: the run folder of the student. If it holds one with the same settings, that one is resumed.
        budget: a time, as in "20m", or a number of images to draw in training; ten minutes if None.
        device: "cpu", to train without the GPU; the best available if None.
        tensorboard: also write TensorBoard logs.
        options: values of the command's flags, by name: ``steps=4, guidance=2.0``, or ``steps="2-5", guidance="1-5"``.

    Raises:
        InputError, Diverged, Interrupted: as for :func:`train`.
    """
    _check_device(device)
    keep_freed_memory()
    given = distillation.flags(plain(budget), plain(options))
    command = Command(Path(out), few_samples, device=device, tensorboard=tensorboard)
    distillation.Distilling(Path(run), given, command).run()
    return load(out, device)


def import_model(
    path: str | Path,
    *,
    out: str | Path,
    flags: str | None = None,
    data: str | None = None,
    device: str | torch.device | None = None,
) -> Pipeline | RunFolder:
    """Turn a model of another program into a run, and load it, as ``ddpm import`` does.

    Args:
        path, out, flags, data: see :func:`ddpm.exchange.conversion.convert`.
        device: as for :func:`load`.

    Returns:
        The run; of an autoencoder, its run folder, for ``codec`` of another run.

    Raises:
        InputError: see :func:`ddpm.exchange.conversion.convert`.
    """
    folder = convert(Path(path), Path(out), flags, data).folder
    return folder if folder.is_autoencoder else load(out, device)


def load(path: str | Path, device: str | torch.device | None = None) -> Pipeline:
    """Load a run folder, or one checkpoint in it; see :func:`ddpm.engine.loading.load`.

    A run on huggingface.co is "hf://owner/name", or "hf://owner/name@revision"; see :func:`ddpm.exchange.hub.download`.
    """
    return Pipeline(load_run(download(path) if isinstance(path, str) and path.startswith(HUB) else path, device))


def _check_device(device: str | None) -> None:
    if device not in (None, "cpu"):
        raise InputError("device", f'device must be "cpu", not {device!r}; omit it to use the best available')
