"""A run on disk: its files, and how to find and read them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self, get_args

import torch

from ddpm.config.autoencoder import AutoencoderConfig
from ddpm.config.run import RunConfig
from ddpm.core.model import published
from ddpm.records.alignment import AlignmentRecord
from ddpm.records.guidance import GuidanceRecord
from ddpm.records.latents import LatentsRecord
from ddpm.records.reconstruction import ReconstructionRecord
from ddpm.records.tuning import TunedRecord
from ddpm.system.errors import InputError
from ddpm.system.filenames import refuse_bytes
from ddpm.system.files import read_json
from ddpm.system.names import AutoencoderName
from ddpm.system.pointers import pointer_in
from ddpm.system.tensors import load_tensors
from ddpm.training import checkpoint as checkpoints
from ddpm.training import job, log
from ddpm.training.scoring import Best
from ddpm.training.scoring import published as published_best

Weights = dict[str, torch.Tensor]
"""Tensors on the CPU by their names in the model."""


@dataclass(frozen=True)
class File:
    """A file or folder at a fixed place in a run's folder."""

    name: str

    def __get__(self, run: "RunFolder", kind: type) -> Path:
        return run.path / self.name


@dataclass(frozen=True)
class RunFolder:
    """A run, or one of its checkpoints; its files need not exist.

    Attributes:
        path: the folder of the run.
        checkpoint: the checkpoint's folder; None for the run's newest weights.
    """

    path: Path
    checkpoint: Path | None = None

    config_file = File("config.json")
    images = File("images.npz")
    """The training images, if they were given in memory."""
    weights_file = File(job.WEIGHTS)
    """The averaged weights, which exist after the first checkpoint."""
    card = File("README.md")
    log = File(log.FILE)
    tuned_file = File("tuned.json")
    guidance_file = File("guidance.json")
    report = File("report.html")
    checkpoints = File(checkpoints.FOLDER)
    averages = File(job.AVERAGES)
    """The averages saved during training, and those computed from them for other lengths."""
    classifier = File("classifier")
    """The folder of the run's classifier, which has a config, weights, a log and checkpoints like a run."""
    codec = File("codec")
    """The copy of the autoencoder of a run in latents, with a config and weights like a run."""
    text = File("text")
    """The frozen text encoder and tokenizer of a run that attends to its tokens."""
    latents_file = File("latents.json")
    """The statistics of an autoencoder's latents."""
    reconstruction_file = File("reconstruction.json")
    """The quality of an autoencoder's reconstructions."""
    reconstructions = File("reconstructions.png")
    """Held-out images above their reconstructions."""
    previews = File(job.PREVIEWS)
    evaluations = File("evaluations")
    """The folder of scores."""
    drawn = File("drawn")
    """The folder of scored samples, kept so that they can be scored again."""
    likelihood = File("likelihood")
    """The folder of bits per dimension; ``answers`` has those of each image."""
    sweeps = File("sweeps")
    plots = File("plots")

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """The run or checkpoint at a path; None if there is none."""
        if (path / checkpoints.MANIFEST).exists():
            return cls(path.absolute().parents[1], path)
        return cls(path) if cls(path).config_file.exists() else None

    @classmethod
    def open(cls, path: Path) -> Self:
        """The run or checkpoint at a path.

        Raises:
            InputError: there is none, or its path is not UTF-8.
        """
        refuse_bytes(path)
        if not path.exists():
            raise InputError("missing", f"{path} does not exist; use a run folder written by `ddpm train`")
        if path.is_file():
            raise InputError("invalid", f"{path} is not a run folder; use one written by `ddpm train`")
        if (found := cls.of(path)) is None:
            raise InputError(
                "missing", f"{path} has no {cls(path).config_file.name}; use a run folder written by `ddpm train`"
            )
        return found

    @property
    def source(self) -> Path:
        """The folder of the weights: the checkpoint or the run."""
        return self.checkpoint or self.path

    def pictures(self, command: str) -> Path:
        """The folder of a command's pictures: ``samples``, ``upscaled``, ``inpaint`` …"""
        return self.path / command

    @property
    def stage(self) -> str:
        """The prefix of file names that belong to the checkpoint; empty for the run."""
        return "" if self.checkpoint is None else f"{self.checkpoint.name}-"

    @property
    def alignment_file(self) -> Path:
        """How well the weights follow captions."""
        return self.path / f"{self.stage}alignment.json"

    @property
    def alignment_sheet(self) -> Path:
        """Samples by prompt, next to :attr:`alignment_file`."""
        return self.alignment_file.with_suffix(".png")

    def config(self) -> RunConfig:
        """All settings of the run.

        Raises:
            InputError: the config is missing or damaged, or the run is an autoencoder.
        """
        if self.is_autoencoder:
            raise InputError(
                "incompatible",
                f"{self.path} is an autoencoder, which generates no images by itself; train a model on its latents "
                f"with `{self.autoencoder().follow_up(self.path)}`",
            )
        return RunConfig.read(self.config_file)

    @property
    def is_autoencoder(self) -> bool:
        """Whether the config is for an autoencoder."""
        tree = read_json(self.config_file)  # reading the config reports what is wrong
        return isinstance(tree, dict) and tree.get("kind") in get_args(AutoencoderName)

    def autoencoder(self) -> AutoencoderConfig:
        """All settings of an autoencoder.

        Raises:
            InputError: the config is missing or damaged, or the run is no autoencoder.
        """
        if self.config_file.exists() and not self.is_autoencoder:
            raise InputError(
                "incompatible",
                f"{self.path} is not an autoencoder; train one with `ddpm train photos/ --recipe autoencoder`",
            )
        return AutoencoderConfig.read(self.config_file)

    def latents(self) -> LatentsRecord:
        """The statistics of an autoencoder's latents, measured at the end of its training.

        Raises:
            InputError: the file is damaged, or the autoencoder is not finished.
        """
        if not self.latents_file.exists():
            raise InputError(
                "missing", f"{self.path} is not finished; re-run its `ddpm train --recipe autoencoder` command"
            )
        return LatentsRecord.read(self.latents_file)

    def reconstruction(self) -> ReconstructionRecord:
        """The quality of an autoencoder's reconstructions, measured at the end of its training.

        Raises:
            InputError: the file is missing or damaged.
        """
        return ReconstructionRecord.read(self.reconstruction_file)

    def guidance(self) -> GuidanceRecord | None:
        """The result of the search for guidance; None if there was none.

        Raises:
            InputError: the file is damaged.
        """
        return GuidanceRecord.read_if_present(self.guidance_file)

    def alignment(self) -> AlignmentRecord | None:
        """How well the weights follow captions; None if it was not measured.

        Raises:
            InputError: the file is damaged.
        """
        return AlignmentRecord.read_if_present(self.alignment_file)

    def tuned(self) -> TunedRecord | None:
        """The result of `ddpm tune`; None if it was not run.

        Raises:
            InputError: the file is damaged.
        """
        return TunedRecord.read_if_present(self.tuned_file)

    def best(self) -> Best | None:
        """The best checkpoint by the scores during training; None if there is none."""
        return published_best(self.path)

    def steps(self) -> int | None:
        """The number of optimiser steps of the weights; None if the checkpoints were removed."""
        found = [self.checkpoint] if self.checkpoint else checkpoints.paths(self.checkpoints)[-1:]
        step = found[0].absolute().name.removeprefix("step-") if found else ""
        return int(step) if step.isdecimal() else None

    def weights(self) -> Weights:
        """The averaged weights.

        Raises:
            InputError: the weights do not exist yet, or are damaged.
        """
        try:
            if self.checkpoint is not None:
                return published(checkpoints.read(self.checkpoint).tensors["ema"])
            return load_tensors(self.weights_file)
        except (checkpoints.Damaged, KeyError) as e:
            if self.checkpoint is not None and not self.checkpoint.exists():
                raise InputError(
                    "missing",
                    f"{self.checkpoint} was removed, as training keeps the newest ones only; use another, or "
                    "train with a higher --set training.keep",
                ) from e
            raise InputError(
                "unreadable", f"{self.checkpoint} is damaged ({e}); use the run folder or another checkpoint"
            ) from e
        except FileNotFoundError:
            raise InputError(
                "missing",
                f"{self.path} has no {job.WEIGHTS} yet; re-run its `ddpm train` command until it has written "
                "its first checkpoint",
            ) from None
        except (OSError, ValueError) as e:
            if found := pointer_in(self.weights_file):
                raise InputError("missing", f"{self.weights_file} is {found}") from e
            why = e.strerror if isinstance(e, OSError) else e
            raise InputError(
                "unreadable", f"{self.weights_file} is damaged ({why}); use a checkpoint in {self.checkpoints}"
            ) from e


def weights_hash(weights: Weights) -> str:
    """A hash of the names and values, in 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]
