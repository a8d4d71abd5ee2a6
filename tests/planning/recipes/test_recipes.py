import re
from itertools import pairwise
from typing import Any

import pytest
from pydantic import TypeAdapter

from ddpm import build
from ddpm.conditioning.label import LabelEmbedding
from ddpm.config.diffusion import DiffusionConfig
from ddpm.config.network import NetworkSettings, UNetSettings
from ddpm.config.objective import ObjectiveConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.config.training import TrainSettings
from ddpm.config.upscaling import UpscalingConfig
from ddpm.core.discrete import cosine
from ddpm.core.model import Model
from ddpm.networks import UNet
from ddpm.planning.recipes import RECIPES, Rung
from ddpm.planning.recipes.auto import auto
from ddpm.planning.recipes.ho2020 import ho2020
from ddpm.planning.recipes.nichol2021 import nichol2021
from ddpm.system.errors import InputError

KINDS = ("unet", "dit", "plain-dit", "plain-unet", "lucidrains-unet")


def network(rung: Rung, channels: int = 3) -> Any:
    tree: dict[str, Any] = {"in_channels": channels, "out_channels": channels} | rung.tree["network"]
    return TypeAdapter(NetworkSettings).validate_python(tree)


def check(height: int, width: int, kind: str) -> None:
    """Each rung's network takes the size; or the size that the refusal names is taken, and is near."""
    try:
        rungs = auto((height, width), False, kind)
    except InputError as e:
        text = str(e)
        assert "\n" not in text
        named = re.search(r"--size (\d+)x(\d+)", text)
        assert named, text
        h, w = int(named[1]), int(named[2])
        assert (h, w) != (height, width)
        assert abs(h - height) <= max(8, height / 2)
        assert abs(w - width) <= max(8, width / 2)
        rungs = auto((h, w), False, kind)  # or raises
        height, width = h, w
    for rung in rungs:
        factor = network(rung).divisor
        assert height % factor == 0, (height, width, rung)
        assert width % factor == 0, (height, width, rung)


def test_any_side_is_taken_or_named_one_that_is() -> None:
    """The least and the most, primes, and the neighbours of powers of two, where the number of levels changes."""
    for side in [4, 5, 7, 9, 13, 31, 33, 63, 65, 97, 127, 129, 191, 193, 251, 255, 256]:
        for kind in KINDS:
            check(side, side, kind)


@pytest.mark.parametrize(
    ("height", "width"),
    [(33, 47), (48, 64), (96, 128), (100, 30), (8, 24), (16, 256), (37, 211), (4, 64)],
)
def test_other_shapes(height: int, width: int) -> None:
    for kind in KINDS:
        check(height, width, kind)
        check(width, height, kind)


def test_usual_sides_are_taken_as_they_are() -> None:
    for side in [4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256]:
        for kind in KINDS:
            auto((side, side), False, kind)


def test_the_finest_level_is_affordable() -> None:
    """Attention and convolutions never work on more positions than about 64 a side, the middle on no more than 16."""
    for side in (8, 32, 64, 128, 256):
        for rung in auto((side, side), False):
            s = network(rung)
            assert side / s.patch <= 64
            assert side / s.divisor <= 16
        for rung in auto((side, side), False, "dit"):
            assert side / network(rung).patch <= 32


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("name", RECIPES)
def test_every_part_is_allowed(name: str, labelled: bool, kind: str) -> None:
    rungs = RECIPES[name]((32, 32), labelled, kind)
    assert rungs[0].needs == 0  # something can be trained in any time
    assert all(a.needs < b.needs for a, b in pairwise(rungs))
    for rung in rungs:
        assert set(rung.tree) <= {"diffusion", "objective", "network", "training", "sampling", "upscaling"}
        UpscalingConfig.model_validate(rung.tree.get("upscaling", {}))
        DiffusionConfig.model_validate(rung.tree["diffusion"])
        ObjectiveConfig.model_validate(rung.tree.get("objective", {}))
        SamplingConfig.model_validate(rung.tree.get("sampling", {}))
        TrainSettings(**{"images": 1} | rung.tree["training"])
        network(rung)


def test_a_ladder_climbs() -> None:
    """Each rung's network costs more than the one below."""

    def cost(rung: Rung) -> float:
        s = network(rung)
        layers = s.blocks[0] if s.kind == "plain-unet" else getattr(s, "depth", 1)
        return layers * s.width**2 / getattr(s, "patch", 1) ** 2

    for kind in KINDS:
        assert all(cost(a) < cost(b) for a, b in pairwise(auto((32, 32), False, kind)))


def test_ho2020_is_the_published_model() -> None:
    (rung,) = ho2020((32, 32), False)
    s = network(rung)
    assert sum(p.numel() for p in UNet(s).parameters()) == 35_746_307
    t = TrainSettings(**rung.tree["training"])
    assert (t.batch, t.steps, t.learning_rate, t.ema, t.betas) == (128, 800_000, 2e-4, 0.9999, (0.9, 0.999))
    assert t.warmup == 5000 * 128
    assert (t.decay, t.flip, s.dropout) == (0.0, True, 0.1)
    d = DiffusionConfig.model_validate(rung.tree["diffusion"])
    # model_var_type of scripts/run_cifar.py is fixedlarge
    assert (d.schedule, d.T, d.prediction, d.variance) == ("linear", 1000, "eps", "large")


def test_nichol2021_is_the_published_model() -> None:
    (rung,) = nichol2021((32, 32), False)
    s = network(rung)
    assert (s.width, s.blocks, s.dropout, s.scale_shift, s.head_width) == (128, 3, 0.3, True, 64)
    assert [32 // factor for factor in s.attention] == [16, 8]
    t = TrainSettings(**rung.tree["training"])
    assert (t.batch, t.steps, t.learning_rate, t.ema) == (128, 500_000, 1e-4, 0.9999)
    d = DiffusionConfig.model_validate(rung.tree["diffusion"])
    assert (d.schedule, d.T, d.prediction, d.variance) == ("cosine", 4000, "eps", "learned")
    assert ObjectiveConfig.model_validate(rung.tree["objective"]).loss.name == "hybrid"


def test_classes_are_what_makes_a_model_conditional() -> None:
    s = network(auto((8, 8), True)[0])
    model = Model(UNet(UNetSettings(**{**vars(s), "cond_width": s.width})), {"label": LabelEmbedding(3, s.width)})
    assert model.conditioners


@pytest.mark.parametrize("name", RECIPES)
def test_no_recipe_asks_more_than_twenty_times_for_a_sample(name: str) -> None:
    for rung in RECIPES[name]((32, 32), True, "unet"):
        how, schedule = SamplingConfig.model_validate(rung.tree.get("sampling", {})), cosine(1000)
        assert build.build_solver(how, schedule).evaluations(build.build_grid(how, schedule)) <= 20
