"""A condition that no part of the engine knows reaches the network from a data set and from the settings."""

from dataclasses import replace
from typing import Annotated, Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from ddpm.config.options import Flag
from ddpm.config.run import RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.core import Cond
from ddpm.core.model import Model
from ddpm.core.stream import RowStreams
from ddpm.data.dataset import Dataset
from ddpm.engine import Guides
from ddpm.engine.options import asked, settings
from ddpm.engine.preview import preview
from ddpm.engine.run import LoadedRun
from ddpm.engine.subjects import NOTHING, Subjects
from ddpm.images.sheets import picture
from ddpm.sampling import rows_of
from ddpm.tasks.interpolate import interpolate
from refusal import refuses
from tiny import loaded

ALONE = Guides()


class Bright(SamplingConfig):
    brightness: Annotated[float | None, Flag("The brightness of the images.", condition="brightness")] = None


class Brightness(nn.Module):
    """A vector proportional to the brightness; none for zero."""

    def __init__(self) -> None:
        super().__init__()
        self.raw: list[torch.Tensor] = []

    def encode(self, raw: torch.Tensor) -> Cond:
        self.raw.append(raw)
        return Cond(raw[:, None] * torch.linspace(-5, 5, 8), raw={"brightness": raw})

    def null(self, n: int) -> Cond:
        return self.encode(torch.zeros(n))

    def drop(self, raw: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return raw.masked_fill(mask, 0)

    def augment(self, raw: torch.Tensor, streams: RowStreams) -> torch.Tensor:
        return raw


def having(run: LoadedRun, own: float | None = None) -> LoadedRun:
    """The run with the condition, and its brightness in the run's own settings."""
    model = Model(run.engine.model.net, {**run.engine.model.conditioners, "brightness": Brightness()})
    return replace(with_option(run, own), engine=run.engine.with_model(model))


def with_option(run: LoadedRun, own: float | None = None) -> LoadedRun:
    """The run with only the option of the condition."""
    sampling = Bright(**run.config.sampling.model_dump(), brightness=own)
    return replace(run, config=run.config.model_copy(update={"sampling": sampling}))


@pytest.fixture
def run() -> LoadedRun:
    return having(loaded("L"))


def drawn(run: LoadedRun, given: dict[str, torch.Tensor], guides: Guides = ALONE, **changes: Any) -> np.ndarray:
    return run.engine.draw(settings(run, changes), rows_of(0, range(3)), given, guides)


def test_an_option_is_the_raw_condition_of_every_image(run: LoadedRun) -> None:
    raw = {"brightness": torch.full((3,), 0.5)}
    assert np.array_equal(drawn(run, {}, brightness=0.5), drawn(run, raw))
    assert not np.array_equal(drawn(run, {}, brightness=0.5), drawn(run, {}))
    assert np.array_equal(drawn(run, raw, brightness=0.1), drawn(run, raw))  # each image's own goes first
    labelled = run.draw(settings(run, {"brightness": 0.5}), Subjects((0, 1, 2)), 0, range(3))
    assert np.array_equal(labelled, drawn(run, raw | {"label": torch.arange(3)}))


def test_it_guides_by_itself_and_stays_next_to_another_label(run: LoadedRun) -> None:
    alone = asked(run, {"brightness": 0.5, "guidance": 3.0}, None, 3)
    guides = run.guides(alone.how, NOTHING)
    assert guides.away == {}
    raw = {"brightness": torch.full((3,), 0.5)}
    assert np.array_equal(run.draw(alone.how, NOTHING, 0, range(3)), drawn(run, raw, Guides(away={}), guidance=3.0))
    assert not np.array_equal(run.draw(alone.how, NOTHING, 0, range(3)), drawn(run, raw))
    another = settings(run, {"brightness": 0.5, "guidance": 3.0, "negative": "star"})
    assert run.guides(another, Subjects((0,))).away == {"brightness": torch.tensor([0.5]), "label": torch.tensor([2])}
    with refuses("conflict", "guidance 3.0"):
        asked(run, {"guidance": 3.0}, None, 3)
    with refuses("conflict", "guidance 3.0"):
        asked(run, {"brightness": 0.5, "guidance": 3.0, "negative": "star"}, None, 3)


def test_it_is_said_of_the_settings() -> None:
    how = Bright(brightness=0.5)
    assert how.conditions == {"steps": 20, "guidance": 1, "brightness": 0.5}
    assert how.words.endswith("trailing grid, brightness 0.5")
    assert Bright.of(guidance=2, brightness=0.5).summary(labelled=False).endswith("guidance 2, brightness 0.5")


def test_a_run_that_does_not_have_it_refuses_it() -> None:
    with refuses("conflict", "brightness 0.5", "shapes"):
        settings(with_option(loaded("L")), {"brightness": 0.5})
    tree = loaded("L").config.model_dump() | {"sampling": Bright(brightness=0.5)}
    with refuses("invalid", "brightness 0.5"):
        RunConfig.parse(tree)
    assert RunConfig.parse(tree | {"sampling": Bright()}).sampling == Bright()


def test_pictures_are_interpolated_between_with_it() -> None:
    """The ends are reconstructions, as both ways go with the same condition."""
    run = having(loaded("L"), 0.5)
    ends = [picture(pixels) for pixels in run.draw(run.config.sampling, NOTHING, 0, range(2))]
    first, last = interpolate(run, *ends, n=2, steps=40)
    for end, found in zip(ends, (first, last), strict=True):
        assert np.abs(np.asarray(found, np.int64) - np.asarray(end, np.int64)).max() <= 2
    assert isinstance(first, Image.Image)


def test_previews_have_the_conditions_of_training_images(run: LoadedRun) -> None:
    """Of the classes in turn, one without images left out, and spread over the images of each."""
    pixels, labels = np.arange(40, dtype=np.uint8).repeat(64).reshape(-1, 8, 8, 1), np.array([0, 2] * 20)
    first = {"brightness": lambda images, names: images[:, 0, 0, 0].astype(np.float32)}
    data = Dataset(pixels, labels, run.config.data.classes, derived=first)
    conditioner = Brightness()
    shown = preview(run.engine, 0, data, data.subset(np.arange(0)))
    shown.draw(Model(run.engine.model.net, {**run.engine.model.conditioners, "brightness": conditioner}))
    spread = torch.tensor([0, 3, 5, 8, 11, 14, 16, 19])  # of 20 images of each class
    assert torch.equal(conditioner.raw[-1], torch.stack([2 * spread, 2 * spread + 1], 1).flatten())
