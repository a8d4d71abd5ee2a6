"""Small images made large by a run, against the large ones: a score."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from ddpm import build
from ddpm.conditioning.low_resolution import BoxMeans, enlarge
from ddpm.config.sampling import SamplingConfig
from ddpm.constraints import AveragePool
from ddpm.data.dataset import Dataset
from ddpm.data.loader import batch_of
from ddpm.data.pairs import LOW
from ddpm.engine.loading import load
from ddpm.engine.options import refuse_idle, settings
from ddpm.engine.run import LoadedRun
from ddpm.evaluation.evaluate import SCORED
from ddpm.evaluation.measure import Say
from ddpm.evaluation.reference import FEWEST, real, training
from ddpm.images.geometry import Geometry
from ddpm.images.pixels import Pixels
from ddpm.images.sheets import sheet
from ddpm.metrics import frechet
from ddpm.metrics.features import Extractor
from ddpm.metrics.features.extract import extract, extract_once
from ddpm.metrics.similarity import SIDE, decibels, psnr, ssim
from ddpm.records.score import FeaturesRecord, ReferenceRecord
from ddpm.records.weights import run_folder
from ddpm.system.errors import InputError
from ddpm.system.files import disk_errors, write_file
from ddpm.system.names import Fit
from ddpm.system.record import Strict
from ddpm.tasks.enlarging import Enlarging, Small, enlarge_all

SHOWN = 16
"""Images of the sheet."""

VALUES = 2**22
"""Of images that are compared at a time, at the most but for one image: SSIM takes ten times as many in float64."""


class Quality(Strict):
    """Of enlarged images.

    Attributes:
        psnr, ssim: to the large images, in dB and up to 1, the mean over all; SSIM needs sides of 11.
        frechet: distance to all real images.
        consistency: PSNR of the means of boxes against the small images, in dB, of the error of all.
        mean_difference: to the large images, of each channel, in units of 1 / 255.
    """

    psnr: float
    ssim: float | None
    frechet: float
    consistency: float
    mean_difference: tuple[float, ...]


class UpscalingScore(Strict):
    """How well a run makes small images large, beside bicubic interpolation.

    Attributes:
        source, weights: the run, and a hash of its weights.
        n: images that were made large.
        reference: the real images.
        seed, sampling, augment, consistent: how the run drew.
    """

    format: Literal[1] = 1
    made_by: str
    source: str
    weights: str
    n: int
    features: FeaturesRecord
    reference: ReferenceRecord
    seed: int
    sampling: SamplingConfig
    augment: float
    consistent: bool
    run: Quality
    bicubic: Quality


@dataclass(frozen=True)
class AskEnlarged:
    """How to measure.

    Attributes:
        data: large images, of which small ones are made; None takes those that the run held out, with their partners
            where the run was given these.
        n: how many of them are made small, and large again.
        features, weights: the network that looks, as of ``ddpm.evaluation.evaluate.Ask``.
        seed, batch, sampling, augment, consistent: as of ``Pipeline.upscale``.
        fit, skip_bad: how the images of ``data`` are read.
        device: cpu, cuda, mps; None takes the best there is.
    """

    data: str | None = None
    n: int = 1000
    features: str = "embedded"
    weights: str | None = None
    seed: int = 0
    batch: int = 64
    sampling: Mapping[str, Any] = field(default_factory=dict)
    augment: float | None = None
    consistent: bool | None = None
    fit: Fit = "crop"
    skip_bad: bool = False
    device: str | None = None


def evaluate_enlarged(path: Path, ask: AskEnlarged, say: Say) -> tuple[UpscalingScore, Path]:
    """Make small images of large ones, enlarge them by the run and by bicubic interpolation, and compare.

    Returns:
        The score, and its folder in the run's.

    Raises:
        InputError: something asked for cannot be had.
    """
    run = load(path, ask.device)
    assert run.config.upscaling is not None
    how = settings(run, dict(ask.sampling))
    settled = Enlarging.settle(run.config.upscaling, ask.augment, ask.consistent)
    refuse_idle(run, dict(ask.sampling), how, labelled=False)
    extractor = build.build_features(ask.features, ask.weights, run.config.data.size, run.engine.device)
    source, data = _images(run, ask, say)
    if min(len(data), ask.n) < FEWEST:
        raise InputError(f"{min(len(data), ask.n)} images are too few to measure; give at least {FEWEST}")
    # spread evenly, as folders of classes come one after another
    large = data.subset(np.linspace(0, len(data) - 1, min(len(data), ask.n)).round().astype(np.int64))
    scale = run.config.upscaling.scale
    if LOW not in large.partners:
        large = replace(large, derived={LOW: BoxMeans(run.engine.codec, scale)})
    low = batch_of(large, np.arange(len(large))).conditions[LOW].numpy()
    smalls = [Small(pixels, i) for i, pixels in enumerate(low)]
    made = dict(enlarge_all(run, how, settled, smalls, ask.seed, ask.batch, lambda i, of: say("upscaling", i, of)))
    drawn = np.stack([made[i] for i in range(len(low))])
    plain = _bicubic(low, scale, run)
    reference = frechet.fit(extract_once(extractor, data, lambda i, of: say("looking at the images", i, of)))
    measured = {
        name: quality(images, large.images, low, scale, extractor, reference)
        for name, images in (("run", drawn), ("bicubic", plain))
    }
    score = UpscalingScore(
        made_by=f"ddpm {version('ddpm')}",
        source=str(path),
        weights=run.weights,
        n=len(low),
        features=FeaturesRecord(name=extractor.name, hash=extractor.hash, resize=extractor.resize, dim=extractor.dim),
        reference=ReferenceRecord(source=source, hash=data.fingerprint[:16], images=len(data)),
        seed=ask.seed,
        sampling=how,
        augment=settled.augment,
        consistent=settled.consistent,
        run=measured["run"],
        bicubic=measured["bicubic"],
    )
    return score, _kept(score, run_folder(path) / SCORED, [_repeated(low, scale), plain, drawn, large.images])


def _kept(score: UpscalingScore, home: Path, rows: list[Pixels]) -> Path:
    """The folder of a score, where it now is, with a sheet of a row for each set of images."""
    how, asked = score.sampling, score.model_dump_json(exclude={"run", "bicubic"})
    short = f"upscaled-{how.short}-augment{score.augment:g}-seed{score.seed}-n{score.n}-{score.features.name}"
    folder = home / f"{short}-{sha256(asked.encode()).hexdigest()[:6]}"
    some = np.linspace(0, score.n - 1, min(SHOWN, score.n)).round().astype(np.int64)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        sheet(np.concatenate([images[some] for images in rows]), len(some)).save(folder / "sheet.png")
    write_file(folder / "upscaling.json", (score.model_dump_json(indent=2) + "\n").encode())
    return folder


def _images(run: LoadedRun, ask: AskEnlarged, say: Say) -> tuple[str, Dataset]:
    """Large images, in the geometry of the run."""
    config = run.config.data
    if ask.data is None:
        own = training(run.config, lambda i, of: say("reading the images", i, of))
        return f"{own.source} (held out)", own.held_out
    found = real(
        ask.data,
        Geometry(config.size, config.mode, ask.fit),
        skip_bad=ask.skip_bad,
        progress=lambda i, of: say("reading the images", i, of),
    )
    return found.source, found.data


def _bicubic(low: Pixels, scale: int, run: LoadedRun) -> Pixels:
    codec = run.engine.codec
    made = [codec.decode(enlarge(codec.encode(torch.from_numpy(part)), scale)) for part in _parts(low)]
    pixels: Pixels = torch.cat(made).numpy()
    return pixels


def _repeated(low: Pixels, scale: int) -> Pixels:
    return low.repeat(scale, 1).repeat(scale, 2)


def _parts(images: Pixels, n: int = 256) -> list[Pixels]:
    """A few images at a time."""
    return [np.ascontiguousarray(images[i : i + n]) for i in range(0, len(images), n)]


def quality(
    made: Pixels, large: Pixels, low: Pixels, scale: int, extractor: Extractor, reference: frechet.Normal
) -> Quality:
    """How near enlarged images come to the large ones, (N, H, W, C) each, and to the small ones that they are of."""
    at_once = max(1, VALUES // large[0].size)
    parts = zip(_parts(made, at_once), _parts(large, at_once), _parts(low, at_once), strict=True)
    near = [torch.cat(of_all) for of_all in zip(*(_nearness(*part, scale) for part in parts), strict=True)]
    peak, structure, boxes, difference = (of_all.mean(0) for of_all in near)
    return Quality(
        psnr=float(peak),
        ssim=None if structure.isnan() else float(structure),
        frechet=frechet.distance(frechet.fit(extract(extractor, Dataset(made))), reference),
        consistency=float(decibels(boxes)),
        mean_difference=tuple(difference.tolist()),
    )


def _nearness(made: Pixels, large: Pixels, low: Pixels, scale: int) -> tuple[torch.Tensor, ...]:
    """Of each image: PSNR, SSIM (nan where it is too small), mean squared error of the boxes, difference of channels.

    (B,), (B,), (B,) and (B, C), float64.
    """
    # (B, H, W, C) -> (B, C, H, W)
    a, b, small = (torch.from_numpy(images).movedim(-1, 1).float() for images in (made, large, low))
    structure = ssim(a, b) if min(a.shape[2:]) >= SIDE else torch.full((len(a),), torch.nan).double()
    boxes = (AveragePool(scale).forward(a).double() - small.double()).square().mean((1, 2, 3))
    return psnr(a, b), structure, boxes, (a.double() - b.double()).mean((2, 3))
