"""The classifier of a run."""

from dataclasses import dataclass
from pathlib import Path

import torch

from ddpm import build
from ddpm.config.classifier import ClassifierConfig
from ddpm.config.run import RunConfig
from ddpm.core import Level
from ddpm.core.model import Model
from ddpm.guidance import ClassGradient
from ddpm.records.run_folder import RunFolder, weights_hash
from ddpm.system.errors import InputError
from ddpm.training import checkpoint as checkpoints


@dataclass(frozen=True)
class Classifier:
    """A classifier of a run's noised images, ready to guide.

    Attributes:
        model: the averaged weights, in evaluation mode.
        config: the configuration of its training.
        weights: the hash of the weights.
    """

    model: Model
    config: ClassifierConfig
    weights: str

    @property
    def classes(self) -> tuple[str, ...]:
        return self.config.data.classes

    def towards(self, labels: list[int], strength: float, device: torch.device) -> ClassGradient:
        """Return the gradient towards each image's class, by number."""
        ask = build.build_classification_ask(self.config.diffusion)

        def logits(x: torch.Tensor, level: Level) -> torch.Tensor:
            return ask.ask(self.model.net, x, level).output

        return ClassGradient(logits, torch.tensor(labels, device=device), strength)


def refuse_unguided(run: Path, config: RunConfig) -> None:
    """Check that a classifier can guide a run.

    Raises:
        InputError: its images are enlarged small ones, or latents.
    """
    if config.upscaling is not None:
        raise InputError(
            "incompatible", f"{run} is a super-resolution run, which no classifier can guide; use another run"
        )
    if not config.codec.in_pixels:
        raise InputError(
            "incompatible", f"{run} samples latents, but classifiers take pixels; use a run trained without --codec"
        )


def load(run: RunFolder, config: RunConfig, device: torch.device) -> Classifier:
    """Load ``RUN/classifier`` from its config.json and model.safetensors.

    Raises:
        InputError: the run has none, or it is damaged or was trained for another run.
    """
    found = RunFolder(run.classifier)
    if not found.weights_file.exists():
        raise InputError("missing", f"{run.path} has no classifier; train one with `ddpm train-classifier {run.path}`")
    classifier = read(found, device)
    own = classifier.config
    if own.diffusion != config.diffusion or own.data.size != config.data.size or own.data.mode != config.data.mode:
        raise InputError(
            "incompatible", f"{found.path} was trained for another run; remove it and train one for {run.path}"
        )
    return classifier


def read(found: RunFolder, device: torch.device) -> Classifier:
    """Read a classifier from its own folder.

    Raises:
        InputError: it is damaged.
    """
    own, weights = ClassifierConfig.read(found.config_file), found.weights()
    with torch.random.fork_rng(devices=[]):  # initialising weights would advance torch's generator
        model = build.build_classifier(
            own, lambda empty: checkpoints.check_fit(empty.state_dict(), weights, str(found.path))
        )
    checkpoints.load_into(model.state_dict(), weights, str(found.path))
    model.to(device).eval().requires_grad_(False)
    return Classifier(model, own, weights_hash(weights))
