from pathlib import Path
from typing import Any

import pytest

from ddpm.config.run import RunConfig
from ddpm.system.errors import InputError
from refusal import refuses


@pytest.fixture(scope="module")
def tree(enlarging_run: Path) -> dict[str, Any]:
    return RunConfig.read(enlarging_run / "config.json").model_dump()


def changed(tree: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The tree with some keys of its groups changed: ``network={"in_channels": 1}``."""
    return tree | {group: tree[group] | keys for group, keys in changes.items()}


def test_the_small_image_has_channels_of_its_own(tree: dict[str, Any]) -> None:
    config = RunConfig.parse(tree)
    assert config.upscaling is not None
    assert (config.network.in_channels, config.network.out_channels) == (2, 1)
    assert (config.upscaling.scale, config.upscaling.low) == (2, None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"network": {"in_channels": 1}}, "in_channels must be 2 for L images"),
        ({"network": {"cond_width": None}}, "cond_width must be a number"),
        ({"upscaling": {"scale": 1}}, "scale must be at least 2, not 1"),
        ({"upscaling": {"scale": 3}}, r"8 × 8 .* --scale 3"),
        ({"upscaling": {"s_max": 1.0}}, "s_max must be at least 0 and below 1"),
        ({"upscaling": {"augment": 0.6}}, "augment must be between 0 and s_max, 0.5, not 0.6"),
        ({"upscaling": {"low": "small"}}, "low and low_fingerprint"),
        ({"upscaling": {"scales": 2}}, "unknown key"),
    ],
)
def test_what_does_not_fit(changes: dict[str, Any], said: str, tree: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=said):
        RunConfig.parse(changed(tree, **changes))


def test_without_it_the_network_sees_the_image_alone(tree: dict[str, Any]) -> None:
    with refuses("invalid", "in_channels"):
        RunConfig.parse(tree | {"upscaling": None})


def test_it_needs_a_width_without_classes_too(tree: dict[str, Any]) -> None:
    unlabelled = changed(tree, data={"classes": ()})
    assert RunConfig.parse(unlabelled).network.cond_width is not None
    with refuses("invalid", "cond_width"):
        RunConfig.parse(changed(unlabelled, network={"cond_width": None}))
