"""Score a super-resolution run: enlarged images against the original large ones."""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ddpm import build
from ddpm.conditioning.low_resolution import BoxMeans, enlarge
from ddpm.constraints import AveragePool
from ddpm.data.dataset import Dataset
from ddpm.data.loader import batch_of
from ddpm.data.pairs import LOW
from ddpm.engine.loading import load
from ddpm.engine.options import refuse_idle, settings
from ddpm.engine.run import LoadedRun
from ddpm.engine.subjects import NOTHING
from ddpm.evaluation.options import EvaluationOptions
from ddpm.evaluation.reference import FEWEST, held_out, reference
from ddpm.images.pixels import Pixels
from ddpm.images.sheets import png, sheet
from ddpm.metrics import frechet
from ddpm.metrics.features import Extractor
from ddpm.metrics.features.extract import extract, extract_once
from ddpm.metrics.similarity import ROUNDING, SIDE, decibels, mean_psnr, squared_error, ssim
from ddpm.records.run_folder import RunFolder
from ddpm.records.score import SHEET, FeaturesRecord, ReferenceRecord
from ddpm.records.upscaling import FILE, Fidelity, UpscalingScore
from ddpm.sampling import rows_of
from ddpm.system.errors import InputError
from ddpm.system.files import write_file
from ddpm.system.progress import Progress, doing
from ddpm.tasks.enlarging import Enlarging, enlarge_all

N = 1000
"""The most images to measure by default."""

BATCH = 64
"""Images in memory at a time by default."""

SHOWN = 16
"""Images on the sheet."""

VALUES = 2**22
"""The most values compared at a time, unless one image has more: SSIM takes ten times as many in float64."""


def evaluate_upscaling(
    path: Path,
    options: EvaluationOptions,
    progress: Progress,
    sampling: Mapping[str, Any] | None = None,
    augment: float | None = None,
    consistent: bool | None = None,
    features: str = "embedded",
    weights: str | None = None,
) -> tuple[UpscalingScore, Path]:
    """Shrink large images, enlarge them by the run and by bicubic interpolation, and compare.

    Args:
        options: None for ``data`` takes the run's held-out images, with their small partners if the run has them.
        sampling, augment, consistent: as in ``Pipeline.upscale``.
        features, weights: as in :func:`ddpm.evaluation.evaluate.evaluate_run`.

    Returns:
        The score, and its folder in the run folder.

    Raises:
        InputError: an argument cannot be used.
    """
    loaded = load(path, options.device)
    assert loaded.config.upscaling is not None
    asked = dict(sampling or {})
    how = settings(loaded, asked)
    settled = Enlarging.settle(loaded.config.upscaling, augment, consistent)
    refuse_idle(loaded, asked, how, NOTHING)
    extractor = build.build_features(features, weights, loaded.config.data.size, loaded.engine.device)
    source, data = _images(loaded, options, progress)
    n = min(len(data), N if options.n is None else options.n)
    if n < FEWEST:
        raise InputError("invalid", f"{n} images are too few to measure; use at least {FEWEST}")
    large = data.subset(data.spread(n))
    scale = loaded.config.upscaling.scale
    if LOW not in large.partners:
        large = replace(large, derived={LOW: BoxMeans(loaded.engine.codec, scale)})
    low = batch_of(large, np.arange(len(large))).conditions[LOW].numpy()
    rows = rows_of(options.seed, range(len(low)))
    batch, report = BATCH if options.batch is None else options.batch, doing(progress, "upscaling")
    # all of one size, so they come in their order
    drawn = np.stack([made for _, made in enlarge_all(loaded, how, settled, list(low), rows, NOTHING, batch, report)])
    plain = _bicubic(low, scale, loaded)
    normal = frechet.fit(extract_once(extractor, data, doing(progress, "extracting features")))
    measured = {
        name: quality(images, large.images, low, scale, extractor, normal)
        for name, images in (("run", drawn), ("bicubic", plain))
    }
    score = UpscalingScore(
        made_by=f"ddpm {version('ddpm')}",
        source=str(path),
        weights=loaded.weights,
        n=len(low),
        features=FeaturesRecord.of(extractor),
        reference=ReferenceRecord.of(source, data),
        seed=options.seed,
        sampling=how,
        augment=settled.augment,
        consistent=settled.consistent,
        run=measured["run"],
        bicubic=measured["bicubic"],
    )
    shown = [low.repeat(scale, 1).repeat(scale, 2), plain, drawn, large.images]
    return score, _kept(score, RunFolder.open(path).evaluations, shown)


def _kept(score: UpscalingScore, home: Path, rows: list[Pixels]) -> Path:
    """Write a score and a sheet with a row for each set of images, and return their folder."""
    how, asked = score.sampling, score.model_dump_json(exclude={"run", "bicubic"})
    short = f"upscaled-{how.short}-augment{score.augment:g}-seed{score.seed}-n{score.n}-{score.features.name}"
    folder = home / f"{short}-{sha256(asked.encode()).hexdigest()[:6]}"
    some = np.linspace(0, score.n - 1, min(SHOWN, score.n)).round().astype(np.int64)
    shown = sheet(np.concatenate([images[some] for images in rows]), len(some))
    write_file(folder / SHEET, png(shown))
    score.write(folder / FILE)
    return folder


def _images(loaded: LoadedRun, options: EvaluationOptions, progress: Progress) -> tuple[str, Dataset]:
    """Load large images in the geometry of the run."""
    report = doing(progress, "reading the images")
    if options.data is None:
        return f"{loaded.config.data.source} (held out)", held_out(loaded.config, report)
    found = reference(options, loaded.config.data, report)
    return found.source, found.data


def _bicubic(low: Pixels, scale: int, loaded: LoadedRun) -> Pixels:
    codec = loaded.engine.codec
    made = [codec.decode(enlarge(codec.encode(part), scale)) for part in torch.split(torch.from_numpy(low), 256)]
    pixels: Pixels = torch.cat(made).numpy()
    return pixels


def quality(
    made: Pixels, large: Pixels, low: Pixels, scale: int, extractor: Extractor, reference: frechet.Normal
) -> Fidelity:
    """Compare enlarged images with the large ones, (N, H, W, C) each, and with the small ones they come from."""
    at_once = max(1, VALUES // large[0].size)
    parts = zip(*(torch.split(torch.from_numpy(images), at_once) for images in (made, large, low)), strict=True)
    near = zip(*(_nearness(a, b, small, scale) for a, b, small in parts), strict=True)
    errors, structure, boxes, difference = map(torch.cat, near)
    structure, difference = structure.mean(), difference.mean(0)
    return Fidelity(
        psnr=mean_psnr(errors),
        ssim=None if structure.isnan() else float(structure),
        frechet=frechet.distance(frechet.fit(extract(extractor, Dataset(made))), reference),
        consistency=float(decibels(boxes.mean().clamp(min=ROUNDING))),
        mean_difference=tuple(difference.tolist()),
    )


def _nearness(made: torch.Tensor, large: torch.Tensor, low: torch.Tensor, scale: int) -> tuple[torch.Tensor, ...]:
    """For each image: mean squared error, SSIM (nan if it is too small), that error of the boxes, mean difference.

    (B,), (B,), (B,) and (B, C), float64.
    """
    # (B, H, W, C) -> (B, C, H, W)
    a, b, small = (images.movedim(-1, 1).float() for images in (made, large, low))
    structure = ssim(a, b) if min(a.shape[2:]) >= SIDE else torch.full((len(a),), torch.nan).double()
    boxes = squared_error(AveragePool(scale).forward(a), small)
    return squared_error(a, b), structure, boxes, (a.double() - b.double()).mean((2, 3))
