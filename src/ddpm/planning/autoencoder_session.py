"""Train an autoencoder on images: start or resume it, and measure it at the end."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from accelerate import Accelerator

from ddpm.data.cache import prepare_as
from ddpm.data.dataset import Dataset
from ddpm.data.open import reopen_source
from ddpm.planning import autoencoder
from ddpm.planning.autoencoder import AutoencoderPlan, AutoencoderRequest
from ddpm.planning.data import gather, notes
from ddpm.planning.follow import follow, say
from ddpm.planning.session import Session
from ddpm.planning.training import accelerator_of, claimed, measure, refuse_filled
from ddpm.records.latents import LatentsRecord
from ddpm.records.reconstruction import ReconstructionRecord
from ddpm.records.run_folder import RunFolder
from ddpm.system.console import bar
from ddpm.system.errors import InputError
from ddpm.system.files import disk_errors
from ddpm.system.progress import Progress
from ddpm.system.units import say_bytes, say_seconds
from ddpm.training.job import Job

MeasureOf = Callable[[RunFolder, Dataset, Dataset, torch.device, Progress], tuple[ReconstructionRecord, LatentsRecord]]
"""Measures a finished autoencoder: see :func:`ddpm.evaluation.reconstruction.measure_autoencoder`."""


@dataclass(frozen=True)
class AutoencoderSession:
    """A training session of an autoencoder, which starts it or resumes it.

    Attributes:
        session: the images, the flags, and how to train.
        measure_of: measures it at the end.
    """

    session: Session
    measure_of: MeasureOf

    def run(self) -> None:
        """Start or resume the autoencoder, train it to the end and measure it.

        Raises:
            InputError: an input is invalid, or the run was started with other flags.
            Diverged, Interrupted: see :func:`~ddpm.planning.follow.follow`.
        """
        own, command = self.session, self.session.command
        with disk_errors(own.out):
            resumed = own.folder.config_file.exists()
        job, accelerator = self._reopen() if resumed else self._start()
        if command.dry_run:
            measure(job, accelerator)
            return
        follow(job, accelerator, job.folder / "tensorboard" if command.tensorboard else None)
        if accelerator.is_main_process:
            with bar("measuring") as progress:
                found = self.measure_of(own.folder, job.data, job.held_out, accelerator.device, progress)
            for line in measured(*found):
                say(accelerator, line)
            say(accelerator, f"done: {own.out}\nnext: {own.folder.autoencoder().follow_up(own.out)}")

    def _reopen(self) -> tuple[Job, Accelerator]:
        own = self.session
        if not own.folder.is_autoencoder:
            raise InputError("exists", f"{own.out} already exists and is not an autoencoder; choose another --out")
        config = own.folder.autoencoder()
        data = config.data
        own.refuse_changes(data.source, config.request)
        accelerator = accelerator_of(own.command.device, config.training.precision)
        own.store(accelerator)
        source = reopen_source(data)
        with accelerator.main_process_first():
            dataset = prepare_as(source, data)
        job = autoencoder.reopen(config, own.out, dataset, accelerator)
        say(accelerator, f"resuming {own.out}")
        return own.with_changes(job), accelerator

    def _start(self) -> tuple[Job, Accelerator]:
        own = self.session
        request = AutoencoderRequest.of(own.source, own.given)
        accelerator = accelerator_of(own.command.device, own.given.get("precision"))
        refuse_filled(own.out, None if isinstance(own.data, str) else own.folder.images)
        own.store(accelerator)
        with accelerator.main_process_first(), bar("reading") as progress:
            found, dataset = gather(request.images, progress)
        for line in notes(found, dataset):
            say(accelerator, f"note: {line}")
        made = autoencoder.make(
            request,
            own.out,
            dataset,
            accelerator,
            asked=own.asked,
            began=own.began,
            say=lambda line: say(accelerator, line),
        )
        for line in summary(made):
            say(accelerator, line)
        if accelerator.is_main_process and not own.command.dry_run:
            with claimed(own.folder):
                made.config.write(own.folder.config_file)
        accelerator.wait_for_everyone()
        return made.job, accelerator


def summary(made: AutoencoderPlan) -> Iterator[str]:
    """A plan as lines for the terminal."""
    config, s = made.config, made.config.training
    data, (channels, height, width) = config.data, config.shape
    weights = sum(p.numel() for p in made.job.model.net.parameters())
    size, values = " × ".join(map(str, data.size)), data.size[0] * data.size[1] * len(data.mode)
    yield f"data         {data.images:,} images of {size} {data.mode}; {data.held_out} held out"
    yield f"autoencoder  {weights / 1e6:.1f} M parameters: {config.network.describe()}"
    yield (
        f"latents      {height} × {width}, {channels} channels: {values / (channels * height * width):.3g} times fewer "
        "values than the images"
    )
    yield (
        f"training     {s.images:,} images ({s.images / data.images:.1f} epochs), batch {s.batch}, "
        f"learning rate {s.learning_rate:g}, {s.precision}; {config.objective.words}"
    )
    speed = f"{made.speed:.0f} images/s, {say_seconds(s.images / made.speed)}; " if made.speed else ""
    yield f"cost         {speed}about {say_bytes(made.memory.peak(s.micro_batch))} of memory per process"


def measured(found: ReconstructionRecord, latents: LatentsRecord) -> Iterator[str]:
    """The measures of a finished autoencoder as lines for the terminal."""
    images = f"{found.n} {'held-out' if found.held_out else 'training'} images"
    similar = "" if found.ssim is None else f", SSIM {found.ssim:.4f}"
    yield f"reconstruction of {images}: PSNR {found.psnr:.2f} dB{similar}"
    if (lpips := found.lpips) is not None:
        note = "; the loss used it, which flatters it" if lpips.trained_on else ""
        yield f"LPIPS {lpips.mean:.4f} ({images}{note})"
    for one in found.distances:
        note = "; flattering, as the loss used these features" if one.trained_on else ""
        yield f"rFID {one.frechet:.4g} ({one.features.name} features, {found.n} images{note})"
    spread, noise = (" ".join(f"{v:.3g}" for v in values) for values in (latents.spread, latents.posterior or ()))
    others = "" if latents.held_out is None else " ".join(f"{v:.3g}" for v in latents.held_out)
    relative = f"; of held-out images, relative to these, {others}" if others else ""
    yield f"latents: standard deviation by channel {spread}{relative}; of the encoder's noise {noise}"
