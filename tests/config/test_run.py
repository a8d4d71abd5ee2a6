import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest

from ddpm.config.run import RunConfig
from ddpm.config.scoring import ScoringSettings
from ddpm.system.errors import InputError
from refusal import refuses

Tree = dict[str, Any]

TREE: Tree = {
    "recipe": "auto",
    "request": {"images": "2M", "set": ["training.ema=0.99"]},
    "data": {
        "source": "photos",
        "fingerprint": "abc",
        "images": 95,
        "held_out": 5,
        "size": [16, 24],
        "mode": "RGB",
        "classes": ["cat", "dog"],
        "mean": [0.1, 0.2, 0.3],
        "std": [0.5, 0.5, 0.5],
    },
    "diffusion": {"schedule": "cosine", "prediction": "v"},
    "network": {"in_channels": 3, "out_channels": 3, "width": 32, "multipliers": [1, 2], "cond_width": 32},
    "training": {"images": 2_000_000, "betas": [0.9, 0.95]},
    "sampling": {},
}


DIT: Tree = {"kind": "dit", "depth": 2, "width": 32, "heads": 2, "cond_width": 32}


def changed(**changes: Any) -> Tree:
    """The tree with some dotted keys changed, dots written as two underscores."""
    tree = copy.deepcopy(TREE)
    for key, value in changes.items():
        *parents, last = key.split("__")
        node = tree
        for name in parents:
            node = node[name]
        node[last] = value
    return tree


def test_round_trip(tmp_path: Path) -> None:
    config = RunConfig.parse(TREE)
    path = tmp_path / "config.json"
    path.write_text(config.to_json(), encoding="utf-8")
    assert RunConfig.read(path) == config
    assert json.loads(config.to_json())["training"]["betas"] == [0.9, 0.95]
    assert config.to_json().endswith("}\n")


def test_how_a_run_is_scored(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    config = RunConfig.parse(changed(scoring={"every": 5000, "share": 0.1}))
    assert config.scoring == ScoringSettings(5000, samples=256, steps=16, share=0.1)
    path.write_text(config.to_json(), encoding="utf-8")
    assert RunConfig.read(path) == config


def test_everything_is_written(tmp_path: Path) -> None:
    """A later version with other defaults must read the same run."""
    tree = json.loads(RunConfig.parse(TREE).to_json())
    for name in ("data", "diffusion", "network", "training", "sampling"):
        fields = getattr(RunConfig.parse(TREE), name)
        assert set(tree[name]) == set(getattr(fields, "model_fields_set", set()) | set(vars(fields)))


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("training__batchsize", r"unknown key 'training\.batchsize' \(did you mean 'batch'\?\)"),
        ("training__lerning_rate", r"unknown key 'training\.lerning_rate' \(did you mean 'learning_rate'\?\)"),
        ("network__widht", r"unknown key 'network\.widht' \(did you mean 'width'\?\)"),
        ("diffusion__shedule", r"unknown key 'diffusion\.shedule' \(did you mean 'schedule'\?\)"),
        ("sampling__step", r"unknown key 'sampling\.step' \(did you mean 'steps'\?\)"),
        ("sampling__xyz", r"unknown key 'sampling\.xyz' \(known: solver, steps, grid, guidance, .*\)"),
        ("trainng", r"unknown key 'trainng' \(did you mean 'training'\?\)"),
    ],
)
def test_an_unknown_key_is_an_error_with_the_nearest(key: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        RunConfig.parse(changed(**{key: 1}))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("training__batch", "many", r"training\.batch: .*integer"),
        ("training__batch", 1.5, r"training\.batch: .*integer"),
        ("training__flip", "perhaps", r"training\.flip: .*boolean"),
        ("training__betas", [0.9], r"training\.betas"),
        ("training__precision", "fp8", r"training\.precision 'fp8' is unknown .*bf16, fp16, fp32"),
        ("network__multipliers", 2, r"network\.multipliers: .*tuple"),
        (
            "diffusion__schedule",
            "cosin",
            r"diffusion\.schedule 'cosin' is unknown \(did you mean 'cosine'\?\).* linear, scaled-linear",
        ),
        ("diffusion__T", None, r"diffusion\.T: .*integer"),
        ("sampling__solver", "eulr", r"sampling\.solver 'eulr' is unknown \(did you mean 'euler'\?\).* sde"),
        ("data__size", [16], r"data\.size"),
    ],
)
def test_a_wrong_type_is_named_by_its_key(key: str, value: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        RunConfig.parse(changed(**{key: value}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"diffusion__T": 0}, "T must be at least 1"),
        ({"diffusion__T": 10**8}, "T must be at most 100,000"),
        ({"network__blocks": 10**6}, r"network\.blocks must be at most 512"),
        ({"network__multipliers": [1] * 10**5}, r"network\.multipliers must have at most 16 values"),
        ({"network__width": 2**40}, r"network\.width must be at most 65,536"),
        ({"data__size": [2**40, 16]}, r"data\.size must be at most 65,536"),
        ({"data__size": [0, 16]}, r"data\.size must be at least 1"),
        ({"data__size": [60_000, 60_000]}, "60000 × 60000, more than 178,956,970 pixels"),
        ({"data__mean": [math.nan] * 3}, r"data\.mean must be finite"),
        ({"sampling__steps": 10**9, "sampling__grid": "karras"}, r"sampling\.steps must be at most 100,000"),
        ({"training__batch": 10**12}, r"training\.batch must be at most 1,000,000"),
        ({"diffusion__prediction": "eps", "diffusion__zero_terminal_snr": True}, "use v or x0"),
        ({"sampling__steps": 0}, "steps must be at least 1"),
        ({"sampling__solver": {"name": "heun", "eta": 0.5}}, r"sampling\.solver\.eta is an option of ddim and .*heun"),
        ({"sampling__solver": {"eta": 1.5}}, r"sampling\.solver\.eta must be between 0 and 1, not 1\.5"),
        ({"sampling__area": (64, 64)}, "sampling.area is .*`ddpm sample --size`"),
        ({"sampling__guidance": {"scale": 2, "away_from": "bird"}}, "away_from 'bird' .* 2 classes"),
        (
            {"sampling__guidance": {"scale": 2, "away_from": {"checkpoint": "s", "weights": "w"}}},
            "away_from is an earlier version",
        ),
        ({"sampling__guidance": {"scale": 1, "rescale": 0.5}}, "rescale has no effect at scale 1"),
        ({"sampling__guidance": -1}, r"sampling\.guidance\.scale must be at least 0"),
        ({"network__kind": "net"}, r"network(\.kind)? 'net' is unknown.* unet, dit"),
        ({"sampling__steps": 1001}, r"sampling\.steps is 1001; it must be at most 1000"),
        ({"diffusion__T": 10}, r"sampling\.steps is 20; it must be at most 10"),
        ({"sampling": {"grid": [1200, 5]}}, r"sampling\.grid is 1200,5; .*1000"),
        ({"sampling": {"grid": [5, 700]}}, r"sampling: .*timesteps must .*, not 5,700"),
        ({"sampling": {"grid": [700, 5], "steps": 3}}, r"sampling: steps is 3, but the grid lists 2 timesteps"),
        (
            {"sampling__grid": "even"},
            r"sampling\.grid must be 'uniform', .* or timesteps such as 1000,700.*, not 'even'",
        ),
        ({"diffusion__T": 50, "scoring": {"every": 9, "steps": 51}}, r"scoring\.steps is 51; it must be at most 50"),
        ({"scoring": {"every": 9, "share": 0}}, "share must be above 0"),
        ({"scoring": {"every": 9, "stepz": 9}}, r"unknown key 'scoring\.stepz' \(did you mean 'steps'\?\)"),
        ({"training__batch": 0}, "batch must be at least 1"),
        ({"training__betas": [0.9, 1.0]}, "betas must be"),
        ({"network__width": 7}, "width is 7; it must be even"),
        ({"network__attention": [8]}, r"attention is at factors \[8\]"),
        ({"network__in_channels": 1}, r"must be 3 for RGB images"),
        ({"network__out_channels": 6}, r"must be 3 for RGB images"),
        ({"data__mode": "RGBA"}, r"must be 4 for RGBA images"),
        ({"network__space": 1}, r"network\.space must be 2"),
        ({"network__cond_width": None}, r"cond_width must be a number"),
        ({"data__classes": []}, r"cond_width must be null"),
        ({"network__multipliers": [1, 1, 1, 1, 1]}, r"16 × 24 .* by 16, .*--size 16x32"),
        ({"network": {**DIT, "patch": 5}}, r"16 × 24 .* by 5, .*--size 15x25"),
        ({"network": {**DIT, "space": 3}}, r"network\.space must be 2"),
        ({"network": {**DIT, "width": 48, "cond_width": 0}}, r"cond_width must be at least 1"),
        ({"data__size": [16, 25]}, r"16 × 25 .* by 2, .*--size 16x24"),
    ],
)
def test_nonsense_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        RunConfig.parse(changed(**changes))
    assert "\n" not in str(caught.value)


def test_the_place_is_named() -> None:
    with refuses("invalid"):
        RunConfig.parse(changed(x=1), "somewhere")


def test_values_never_change() -> None:
    config = RunConfig.parse(TREE)
    with pytest.raises(ValueError, match="frozen"):
        config.recipe = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist; .*`ddpm train`"),
        (b"", "is damaged"),
        (b"{", "is damaged"),
        (b"\xff\xfe", "is damaged"),
        (b"[1]", "not written by `ddpm train`"),
        (b'{"_class_name": "UNet2DModel"}', "not written by `ddpm train`"),
        (b'{"format": 99}', "has format 99, .* format 2"),
    ],
)
def test_a_file_that_is_no_config(content: bytes | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        RunConfig.read(path)


def test_a_file_with_a_mistake_is_named(tmp_path: Path) -> None:
    tree = json.loads(RunConfig.parse(TREE).to_json())
    tree["training"]["bach"] = 3
    path = tmp_path / "config.json"
    path.write_text(json.dumps(tree))
    with refuses("invalid", "'batch'"):
        RunConfig.read(path)


def test_a_learned_variance_takes_as_many_channels_again() -> None:
    learned = {"diffusion": {"prediction": "eps", "variance": "learned"}, "objective": {"loss": "hybrid"}}
    assert RunConfig.parse(changed(**learned, network__out_channels=6)).network.out_channels == 6
    with refuses("invalid", "out_channels"):
        RunConfig.parse(changed(**learned))
    with refuses("invalid", "out_channels"):
        RunConfig.parse(changed(network__out_channels=6))
