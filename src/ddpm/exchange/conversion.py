"""Convert the files of another program to a run folder."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ddpm.config.autoencoder import AutoencoderConfig
from ddpm.config.classifier import ClassifierConfig
from ddpm.config.run import RunConfig
from ddpm.data.cache import prepare
from ddpm.data.dataset import STATISTICS, channel_stats
from ddpm.data.open import open_source
from ddpm.data.order import split
from ddpm.engine import classifier
from ddpm.engine.codec import loaded as loaded_codec
from ddpm.engine.loading import load
from ddpm.exchange import forward, openai_classifier
from ddpm.exchange.diffusers.original import difference
from ddpm.exchange.formats import FORMATS, Format
from ddpm.exchange.forward import ForwardPass
from ddpm.exchange.imported import Imported, refuse_other_files
from ddpm.images.geometry import Geometry
from ddpm.records.codec import StoredCodec
from ddpm.records.run_folder import RunFolder
from ddpm.system.errors import InputError
from ddpm.system.progress import Progress, silent

TOLERANCE = 1e-3
"""The largest difference of an output from the original's, in standard deviations."""


@dataclass(frozen=True)
class Conversion:
    """A finished import.

    Attributes:
        imported: what was read.
        folder: the run folder.
        fingerprint: one forward pass of the model, read back from the folder.
        difference: the largest difference of its output from that of diffusers, in standard deviations; None if it is
            not a model of diffusers, or the package is not installed or cannot open it.
    """

    imported: Imported
    folder: RunFolder
    fingerprint: ForwardPass
    difference: float | None = None


def convert(
    path: Path, out: Path, flags: str | None = None, data: str | None = None, progress: Progress = silent
) -> Conversion:
    """Read a model of another program, and write it as a run folder.

    Args:
        path: its file or folder.
        out: the run folder, which must not exist yet; for a classifier, "classifier" in the folder of its run.
        flags: settings that its files lack, as flags of its own program: "--num_heads 4".
        data: the images that it was trained on, for evaluation; None if they are not available.
        progress: called while the images are read.

    Raises:
        InputError: the files are missing, damaged, or of no known kind; something in them is not supported; or the
            run folder cannot be written.
    """
    if not path.exists():
        raise InputError("missing", f"{path} does not exist; use a file or a folder that another program saved")
    refuse_other_files(out)
    if openai_classifier.recognises(path):
        imported = openai_classifier.read_classifier(path, flags, _classified(path, out))
    else:
        imported = _format(path).read_model(path, flags)
    config = imported.config if data is None else _trained_on(data, imported.config, progress)
    request = {"import": str(path), "flags": flags, "data": data}
    request = {name: value for name, value in request.items() if value is not None}
    imported = replace(imported, config=config.model_copy(update={"request": request}))
    found: list[tuple[ForwardPass, float | None]] = []
    folder = imported.write(out, lambda written: found.append(_checked(path, written, config)))
    return Conversion(imported, folder, *found[0])


def _format(path: Path) -> Format:
    if RunFolder.of(path) is not None and (path / "config.json").exists() and _is_run(path):
        raise InputError("conflict", f"{path} is a run of ddpm already; use it as it is")
    for known in FORMATS:
        if known.recognises(path):
            return known
    raise InputError(
        "unknown",
        f"{path} is not a model of a known kind; use a folder of diffusers, or a file of weights of Stable Diffusion, "
        "OpenAI's guided-diffusion, lucidrains' denoising-diffusion-pytorch or DiT",
    )


def _classified(path: Path, out: Path) -> RunFolder:
    """The run that a classifier belongs to, from the folder that it is written to.

    Raises:
        InputError: there is none, or no classifier can guide it.
    """
    run = RunFolder(out.absolute().parent)
    if out.name != run.classifier.name or not run.config_file.exists():
        raise InputError(
            "conflict",
            f"{path} is a classifier, which belongs to a run; import its model first, then use --out "
            f"RUN/{run.classifier.name}",
        )
    classifier.refuse_unguided(run.path, run.config())
    return run


def _is_run(path: Path) -> bool:
    try:
        run = RunFolder(path)
        _ = run.autoencoder() if run.is_autoencoder else run.config()
    except InputError:
        return False
    return True


def _checked(path: Path, folder: RunFolder, config: object) -> tuple[ForwardPass, float | None]:
    """One forward pass of a written model, on the CPU so that it is the same everywhere, compared with the original's.

    Raises:
        InputError: they differ.
    """
    cpu = torch.device("cpu")
    if isinstance(config, ClassifierConfig):
        return forward.of_classifier(classifier.read(folder, cpu)), None
    if isinstance(config, AutoencoderConfig):
        trained = loaded_codec(StoredCodec.read(folder.path), cpu)
        return forward.of_autoencoder(trained.net, config.shape), None
    run = load(folder.path, cpu)
    gap = difference(path, run)
    if gap is not None and not gap <= TOLERANCE:
        raise InputError(
            "incompatible",
            f"the network of {path} does not give here what it gives in diffusers: the outputs differ by {gap:.2g} "
            f"of their standard deviation, above {TOLERANCE:g}; report it with the folder's config.json",
        )
    return forward.of_run(run), gap


def _trained_on(source: str, config: object, progress: Progress) -> RunConfig:
    """The settings of a run with its training images.

    Raises:
        InputError: the images cannot be read or have other classes, or the model is an autoencoder.
    """
    if not isinstance(config, RunConfig):
        raise InputError("conflict", "--data has no effect on a model that generates no images; leave it out")
    known = config.data
    data = prepare(open_source(source), Geometry(known.size, known.mode, known.fit), progress=progress)
    kept, held = split(len(data), config.training.seed, data.validation)
    mean, std = channel_stats(data.sample(STATISTICS))
    changes: dict[str, object] = {
        "source": source,
        "fingerprint": data.fingerprint,
        "streamed": data.streamed,
        "images": len(kept),
        "held_out": len(held),
        "mean": tuple(mean.tolist()),
        "std": tuple(std.tolist()),
    }
    if known.classes:
        if len(data.classes) != len(known.classes):
            raise InputError(
                "incompatible",
                f"{source} has {len(data.classes)} classes, but the model {len(known.classes)}; use the images that it "
                "was trained on, or leave out --data",
            )
        if data.classes != known.classes and {*data.classes} == {*known.classes}:
            raise InputError(
                "incompatible",
                f"{source} has the classes of the model in another order, so their numbers differ; leave out --data",
            )
        changes["classes"] = data.classes
    return config.model_copy(update={"data": known.model_copy(update=changes)})
