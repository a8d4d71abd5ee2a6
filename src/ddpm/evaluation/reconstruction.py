"""Measure a finished autoencoder: its reconstructions, and the statistics of its latents."""

import torch

from ddpm import build
from ddpm.codec.premultiplied import premultiplied
from ddpm.config.autoencoder import AutoencoderConfig
from ddpm.config.autoencoding import AutoencodingConfig
from ddpm.core.model import Model
from ddpm.data.dataset import Dataset
from ddpm.engine.codec import load_autoencoder
from ddpm.engine.reconstruction import (
    MEASURED,
    in_parts,
    moments,
    reconstructed,
    squared_errors,
    visible,
)
from ddpm.images.sheets import png, sheet
from ddpm.metrics import frechet
from ddpm.metrics.features import Extractor
from ddpm.metrics.features.averages import Averages
from ddpm.metrics.features.extract import extract
from ddpm.metrics.features.inception import Inception
from ddpm.metrics.similarity import SIDE, mean_psnr, ssim
from ddpm.records.latents import LatentsRecord
from ddpm.records.reconstruction import ReconstructionDistance, ReconstructionLPIPS, ReconstructionRecord
from ddpm.records.run_folder import RunFolder, weights_hash
from ddpm.records.score import FeaturesRecord
from ddpm.system.device import exact_convolutions
from ddpm.system.files import write_file
from ddpm.system.progress import Progress, doing

FEATURES = "embedded"
"""The features that the loss uses, too, unless it uses LPIPS, and that need no download."""
PIECE = 8
"""Images at a time for LPIPS: about 600 MB at 256 × 256."""
COLUMNS = 8
"""The images on the sheet, each above its reconstruction."""


@exact_convolutions()
def measure_autoencoder(
    folder: RunFolder, kept: Dataset, held_out: Dataset, device: torch.device, progress: Progress
) -> tuple[ReconstructionRecord, LatentsRecord]:
    """Measure a finished autoencoder, in float32, and write ``reconstruction.json``, ``latents.json`` and a picture.

    Measured again only if the weights changed.

    Args:
        kept, held_out: the training images, and those held out.
    """
    config, weights = folder.autoencoder(), folder.weights()
    hash = weights_hash(weights)
    if folder.latents_file.exists() and folder.reconstruction_file.exists():
        known, latents = folder.reconstruction(), folder.latents()
        if known.weights == latents.weights == hash:
            return known, latents
    model = load_autoencoder(config, weights, folder.path, device)
    kept, held_out = (data.subset(data.spread(MEASURED)) for data in (kept, held_out))
    shown = held_out if len(held_out) else kept
    record = _reconstruction(model, config, shown, hash, bool(len(held_out)), device, doing(progress, "reconstructing"))
    latents = latent_statistics(model, kept, hash, doing(progress, "encoding"))
    if len(held_out):
        others = latent_statistics(model, held_out, hash, doing(progress, "encoding"))
        relative = [own / usual for own, usual in zip(others.spread, latents.spread, strict=True)]
        latents = latents.model_copy(update={"held_out": relative})
    pictured = torch.from_numpy(shown.subset(shown.spread(COLUMNS)).images)
    page = sheet(torch.cat([pictured, reconstructed(model, pictured)]).numpy(), len(pictured))
    write_file(folder.reconstructions, png(page))
    record.write(folder.reconstruction_file)
    latents.write(folder.latents_file)
    return record, latents


def _reconstruction(
    model: Model,
    config: AutoencoderConfig,
    data: Dataset,
    hash: str,
    held_out: bool,
    device: torch.device,
    progress: Progress,
) -> ReconstructionRecord:
    errors, similar, made = [], [], []
    for images in in_parts(data):
        y = reconstructed(model, images)
        errors.append(squared_errors(images, y))
        if min(images.shape[1:3]) >= SIDE:
            similar.append(ssim(visible(images), visible(y)))
        made.append(y)
        progress(sum(map(len, made)), len(data))
    distances, pair = [], (data, Dataset(torch.cat(made).numpy()))
    if len(data) > 1:
        used = config.objective.perceptual > 0 and config.objective.lpips is None
        distances.append(_distance(build.build_features(FEATURES, None, config.data.size, device), pair, used))
        distances.append(_distance(Averages(), pair, trained_on=False))
        # slow on a CPU
        if device.type != "cpu" and (inception := Inception.cached(device)) is not None:
            distances.append(_distance(inception, pair, trained_on=False))
    return ReconstructionRecord(
        weights=hash,
        n=len(data),
        held_out=held_out,
        psnr=mean_psnr(torch.cat(errors)),
        ssim=float(torch.cat(similar).mean()) if similar else None,
        lpips=_lpips(config.objective, pair, device),
        distances=tuple(distances),
    )


@torch.no_grad()
def _lpips(
    objective: AutoencodingConfig, pair: tuple[Dataset, Dataset], device: torch.device
) -> ReconstructionLPIPS | None:
    """The mean LPIPS between the images of two data sets; None without its weights."""
    if objective.lpips is None:
        return None
    lpips, found = build.build_lpips(objective.lpips, device), []
    for parts in zip(*map(in_parts, pair), strict=True):
        for a, b in zip(*(part.to(device).split(PIECE) for part in parts), strict=True):
            found.append(lpips(premultiplied(a), premultiplied(b)).double())
    return ReconstructionLPIPS(
        mean=float(torch.cat(found).mean()), weights=lpips.hash, trained_on=objective.perceptual > 0
    )


def _distance(extractor: Extractor, pair: tuple[Dataset, Dataset], trained_on: bool) -> ReconstructionDistance:
    found = frechet.distance(*(frechet.fit(extract(extractor, images)) for images in pair))
    return ReconstructionDistance(features=FeaturesRecord.of(extractor), frechet=found, trained_on=trained_on)


def latent_statistics(model: Model, data: Dataset, hash: str, progress: Progress) -> LatentsRecord:
    """The mean and standard deviation of each channel of the latents, over all positions of all images.

    The variance of a channel is that of its means plus the mean of the variances that the encoder gives.
    A batch of m values with mean b joins n values with mean a by adding ``nm / (n + m) (a - b)²`` to the squared
    deviations (Chan et al. 1983).
    """
    n, done = 0, 0
    centre = squares = noise = posterior = torch.zeros(1, dtype=torch.float64)
    for images in in_parts(data):
        # (B, C', h, w) -> (C', B · h · w)
        mean, logvar = (part.cpu().double().movedim(1, 0).flatten(1) for part in moments(model, images))
        m = mean.shape[1]
        step = mean.mean(1) - centre
        squares = squares + mean.var(1, correction=0) * m + n * m / (n + m) * step.square()
        centre = centre + m / (n + m) * step
        noise, posterior = noise + logvar.exp().sum(1), posterior + (0.5 * logvar).exp().sum(1)
        n, done = n + m, done + len(images)
        progress(done, len(data))
    return LatentsRecord(
        mean=centre.tolist(),
        spread=((squares + noise) / n).sqrt().tolist(),
        posterior=(posterior / n).tolist(),
        weights=hash,
    )
