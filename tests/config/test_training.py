import math
from typing import Any

import pytest

from ddpm.config.training import TrainSettings


@pytest.mark.parametrize(
    ("images", "batch", "steps"), [(1, 128, 1), (128, 128, 1), (129, 128, 2), (10**9, 128, 7_812_500)]
)
def test_steps_see_at_least_the_images(images: int, batch: int, steps: int) -> None:
    assert TrainSettings(images, batch).steps == steps


@pytest.mark.parametrize(
    ("name", "values"),
    [
        *[(name, (0,)) for name in ("batch", "micro_batch", "checkpoint_every", "keep", "log_every", "patience")],
        *[(name, (-0.1, 1.1, math.nan)) for name in ("label_dropout", "decay", "ema")],
        *[(name, (0.0, -1.0, math.nan, math.inf)) for name in ("learning_rate", "clip")],
        *[(name, (-1,)) for name in ("images", "warmup", "workers", "previews")],
        ("weight_decay", (-1, math.nan, math.inf)),
        ("betas", ((0.9, 1.0), (-0.1, 0.9), (math.nan, 0.9))),
    ],
)
def test_nonsense_is_refused_by_name(name: str, values: tuple[Any, ...]) -> None:
    for value in values:
        with pytest.raises(ValueError, match=rf"^{name} must be "):
            TrainSettings(**{"images": 1, name: value})


def test_half_precision_with_a_scale_cannot_be_divided() -> None:
    with pytest.raises(ValueError, match=r"^shard requires"):
        TrainSettings(1, shard=True, precision="fp16")
