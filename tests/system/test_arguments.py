import math
from typing import Any

import numpy as np
import pytest
import torch

from cases import cases
from ddpm.system.arguments import checked, plain
from refusal import refuses


def test_numbers_of_numpy_and_torch_are_pythons() -> None:
    given = {
        "n": np.int64(2),
        "seed": torch.tensor(3),
        "batch": 4.0,
        "strength": np.float32(0.5),
        "label": np.array([1, 2]),
    }
    found = checked(given | {"guidance": None, "size": (np.int64(8), 8), "network": {"width": np.int32(8)}})
    assert found == {
        "n": 2,
        "seed": 3,
        "batch": 4,
        "strength": 0.5,
        "label": [1, 2],
        "guidance": None,
        "size": (8, 8),
        "network": {"width": 8},
    }
    assert type(found["n"]) is type(found["seed"]) is type(found["batch"]) is int
    assert plain([np.str_("a"), torch.ones(2, dtype=torch.bool)]) == ["a", [True, True]]


@cases(
    ("name", "value"),
    [(name, value) for name in ("n", "seed", "batch") for value in (True, "3", 1.5, math.nan, [1], np.array([1]))]
    + [("strength", value) for value in (False, "0.5", math.nan, np.float64("nan"), torch.tensor([0.5]))],
)
def test_what_is_no_number(name: str, value: Any) -> None:
    with refuses("invalid", name):
        checked({name: value})


@pytest.mark.parametrize(
    "asked",
    [
        *({"label": label} for label in (True, 1.0, [None], {"a": 1}, np.array([True]), torch.tensor(True), b"1")),
        *({"prompt": 5}, {"guidance": math.nan}, {"guidance": True}, {"steps": True}, {"steps": -1}),
        *({"seed": 1.5}, {"n": True}, {"n": math.inf}, {"indices": [0.5]}, {"indices": 3}, {"indices": [True]}),
        *({"size": (math.nan, 8)}, {"eta": math.nan, "solver": "ddim"}, {"steps": "x"}, {"grid": [math.nan]}),
    ],
)
def test_samples_of_no_meaning(asked: dict[str, Any], pipe: Any) -> None:
    with refuses("invalid"):
        pipe.sample(**asked)


def test_a_label_of_any_kind(pipe: Any) -> None:
    """A number of Python, NumPy or torch, its text, and lists of them."""
    one = pipe.sample(1, label=3, steps=1)[0].tobytes()
    for label in (np.int64(3), np.uint8(3), torch.tensor(3), "3", np.array([3]), torch.tensor([3]), np.str_("3"), (3,)):
        assert pipe.sample(1, label=label, steps=1)[0].tobytes() == one
