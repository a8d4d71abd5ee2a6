"""The classifier that a run has."""

from dataclasses import dataclass
from pathlib import Path

import torch

from ddpm import build
from ddpm.config.classifier import ClassifierConfig
from ddpm.config.run import RunConfig
from ddpm.core import Level
from ddpm.core.model import Model
from ddpm.guidance import ClassGradient
from ddpm.records.weights import averaged, fingerprint
from ddpm.system.errors import InputError
from ddpm.training import checkpoint as checkpoints

FOLDER = "classifier"
"""Where it is in its run's folder."""


@dataclass(frozen=True)
class Classifier:
    """A classifier of a run's noised images, ready to guide.

    Attributes:
        model: the averaged weights, in evaluation mode.
        config: of its training.
        weights: hash of the weights.
    """

    model: Model
    config: ClassifierConfig
    weights: str

    @property
    def classes(self) -> tuple[str, ...]:
        return self.config.data.classes

    def towards(self, labels: list[int], strength: float, device: torch.device) -> ClassGradient:
        """Where more of each image's class is, by number."""
        ask = build.build_classification_ask(self.config.diffusion)

        def logits(x: torch.Tensor, level: Level) -> torch.Tensor:
            return ask.ask(self.model.net, x, level).output

        return ClassGradient(logits, torch.tensor(labels, device=device), strength)


def load(run: Path, config: RunConfig, device: torch.device) -> Classifier:
    """Load ``RUN/classifier`` from its config.json and model.safetensors.

    Raises:
        InputError: the run has none, or it is of another process or damaged.
    """
    folder = run / FOLDER
    if not (folder / "model.safetensors").exists():
        raise InputError(f"{run} has no classifier; `ddpm train-classifier {run}` trains one")
    own = ClassifierConfig.read(folder / "config.json")
    if own.diffusion != config.diffusion or own.data.size != config.data.size or own.data.mode != config.data.mode:
        raise InputError(f"{folder} was trained for another run; remove it, and train one for {run}")
    weights = averaged(folder)
    with torch.random.fork_rng(devices=[]):  # fresh weights take their start from torch's generator
        model = build.build_classifier(own)
    checkpoints.load_into(model.state_dict(), weights, str(folder))
    model.to(device).eval().requires_grad_(False)
    return Classifier(model, own, fingerprint(weights))
