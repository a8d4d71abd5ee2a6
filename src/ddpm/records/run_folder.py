"""A run on disk: which files there are, and how each is found and read."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_from_bytes

from ddpm.config.run import RunConfig
from ddpm.records.tuning import TunedRecord
from ddpm.system.errors import InputError
from ddpm.training import checkpoint as checkpoints
from ddpm.training import log, loop
from ddpm.training.scoring import Best, published

Weights = dict[str, torch.Tensor]
"""Tensors on the CPU by their names in the model."""


@dataclass(frozen=True)
class RunFolder:
    """A run, or one of its checkpoints; none of its files need be there.

    Attributes:
        path: the folder of the run.
        checkpoint: the folder within it whose weights are meant; None for the run's newest.
    """

    path: Path
    checkpoint: Path | None = None

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """The run that a path means, or the checkpoint in one; None where it is neither."""
        if (path / checkpoints.MANIFEST).exists():
            return cls(path.absolute().parents[1], path)
        return cls(path) if cls(path).config_file.exists() else None

    @classmethod
    def open(cls, path: Path) -> Self:
        """The run that a path means, or the checkpoint in one.

        Raises:
            InputError: it is neither.
        """
        if not path.exists():
            raise InputError("missing", f"{path} does not exist; give a run folder that `ddpm train` made")
        if (found := cls.of(path)) is None:
            raise InputError("missing", f"{path} is not a run folder: it has no {cls(path).config_file.name}")
        return found

    @property
    def source(self) -> Path:
        """Where the weights are: the checkpoint, or the run."""
        return self.checkpoint or self.path

    @property
    def config_file(self) -> Path:
        return self.path / "config.json"

    @property
    def images(self) -> Path:
        """The images that it is trained on, where these were given in memory."""
        return self.path / "images.npz"

    @property
    def weights_file(self) -> Path:
        """The averaged weights, once there is a checkpoint."""
        return self.path / loop.WEIGHTS

    @property
    def card(self) -> Path:
        return self.path / "README.md"

    @property
    def log(self) -> Path:
        return self.path / log.FILE

    @property
    def tuned_file(self) -> Path:
        return self.path / "tuned.json"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def checkpoints(self) -> Path:
        return self.path / checkpoints.FOLDER

    @property
    def classifier(self) -> Path:
        """The folder of the run's classifier, which has a config, weights, a log and checkpoints like a run."""
        return self.path / "classifier"

    @property
    def previews(self) -> Path:
        return self.path / loop.PREVIEWS

    @property
    def evaluations(self) -> Path:
        """The folder of scores."""
        return self.path / "evaluations"

    @property
    def drawn(self) -> Path:
        """The folder of samples that were scored, kept for all scores of the same ones."""
        return self.path / "drawn"

    @property
    def likelihood(self) -> Path:
        """The folder of bits per dimension; those of each image are in ``answers``."""
        return self.path / "likelihood"

    @property
    def sweeps(self) -> Path:
        return self.path / "sweeps"

    @property
    def plots(self) -> Path:
        return self.path / "plots"

    def pictures(self, command: str) -> Path:
        """The folder of what a command draws for people: ``samples``, ``upscaled``, ``inpaint`` …"""
        return self.path / command

    @property
    def stage(self) -> str:
        """What names of files begin with that are of the checkpoint alone."""
        return "" if self.checkpoint is None else f"{self.checkpoint.name}-"

    def config(self) -> RunConfig:
        """How the run was resolved.

        Raises:
            InputError: there is none, or it is damaged.
        """
        return RunConfig.read(self.config_file)

    def tuned(self) -> TunedRecord | None:
        """What `ddpm tune` found; None where it was not run.

        Raises:
            InputError: a file that is something else.
        """
        return TunedRecord.read(self.tuned_file) if self.tuned_file.exists() else None

    def best(self) -> Best | None:
        """The best checkpoint by the scores taken while training; None where there is none."""
        return published(self.path)

    def steps(self) -> int | None:
        """Optimiser steps that the weights took; None where the run's checkpoints are gone."""
        found = [self.checkpoint] if self.checkpoint else checkpoints.paths(self.checkpoints)[-1:]
        step = found[0].absolute().name.removeprefix("step-") if found else ""
        return int(step) if step.isdecimal() else None

    def weights(self) -> Weights:
        """The averaged weights.

        Raises:
            InputError: there are none yet, or they are damaged.
        """
        if self.checkpoint is None:
            return self._newest()
        try:
            return checkpoints.read(self.checkpoint).tensors["ema"]
        except (checkpoints.Damaged, KeyError) as e:
            raise InputError(
                "unreadable", f"{self.checkpoint} is damaged: {e}; load the run folder or another checkpoint"
            ) from e

    def _newest(self) -> Weights:
        try:
            return tensors_from_bytes(self.weights_file.read_bytes())
        except FileNotFoundError:
            raise InputError(
                "missing",
                f"{self.path} has no {loop.WEIGHTS} yet; run its `ddpm train` command to the first checkpoint",
            ) from None
        except (SafetensorError, ValueError) as e:
            raise InputError(
                "unreadable", f"{self.weights_file} is damaged ({e}); load a checkpoint in {self.checkpoints}"
            ) from e


def fingerprint(weights: Weights) -> str:
    """A hash of names and values, 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
