"""The inputs of a training run, and its files."""

from dataclasses import dataclass
from pathlib import Path

from ddpm.config.training import TrainSettings
from ddpm.core.model import Model
from ddpm.data.dataset import Dataset
from ddpm.objectives.objective import Objective
from ddpm.training import checkpoint as checkpoints
from ddpm.training.preview import Preview
from ddpm.training.scoring import Scoring
from ddpm.training.watch import Watch

WEIGHTS = "model.safetensors"
PREVIEWS = "previews"
AVERAGES = "averages"
"""The averaged weights, the previews and the averages saved for any length, in the run folder."""


@dataclass(frozen=True)
class Job:
    """The inputs of a training run.

    Attributes:
        folder: the run folder; "checkpoints" and "previews" are created in it.
        data, held_out: the images for training and for validation.
        preview: the preview of the model; None for a model that generates no images.
        scoring: how and when to score the run during training; None for never.
        watch: a further measure of the held-out images, in place of the held-out loss; None for none.
    """

    model: Model
    objective: Objective
    settings: TrainSettings
    data: Dataset
    held_out: Dataset
    folder: Path
    preview: Preview | None = None
    scoring: Scoring | None = None
    watch: Watch | None = None

    @property
    def checkpoints(self) -> Path:
        return self.folder / checkpoints.FOLDER
