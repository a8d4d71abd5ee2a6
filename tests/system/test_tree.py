"""Trees of settings whose fields hold one of several groups."""

from typing import Annotated, Literal

from ddpm.system.record import Strict
from ddpm.system.tree import Short, merged


class Round(Strict):
    kind: Literal["round"] = "round"
    radius: float = 1.0


class Square(Strict):
    kind: Literal["square"] = "square"
    side: float = 1.0
    colour: str = "red"


Shape = Annotated[Round | Square, Short("kind")]


def test_another_group_drops_the_options_of_the_one_before_even_where_that_is_not_named() -> None:
    assert merged(Shape, {"radius": 2.0}, {"kind": "square"}, stay=True) == {"kind": "square"}
    assert merged(Shape, {"side": 2.0}, "round") == {"kind": "round"}
    assert merged(Shape, {"radius": 2.0}, {"side": 3.0, "kind": "square"}, stay=True) == {"side": 3.0, "kind": "square"}


def test_options_of_the_same_group_stay() -> None:
    assert merged(Shape, {"side": 2.0}, {"colour": "blue"}) == {"kind": "square", "side": 2.0, "colour": "blue"}
    assert merged(Shape, {"side": 2.0}, {"kind": "square"}) == {"kind": "square", "side": 2.0}
