from typing import Literal

import pytest
from pydantic import ValidationError

from ddpm.system.names import suggest
from ddpm.system.record import Strict, explain


class Pet(Strict):
    kind: Literal["cat", "dog"] | None = None
    legs: Literal[2, 4] = 4


class Owner(Strict):
    pet: Pet


@pytest.mark.parametrize(
    ("pet", "said"),
    [
        ({"kind": "ct"}, "pet.kind 'ct' is unknown (did you mean 'cat'?); choose from cat, dog"),
        ({"kind": "zebra"}, "pet.kind 'zebra' is unknown; choose from cat, dog"),
        ({"legs": 7}, "pet.legs 7 is unknown; choose from 2, 4"),
    ],
)
def test_an_unknown_name(pet: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Owner.model_validate({"pet": pet})
    assert explain(caught.value, Owner) == said


def test_suggest() -> None:
    assert suggest("ct", ["cat", "dog"]) == " (did you mean 'cat'?)"
    assert suggest("zebra", ["cat", "dog"]) == " (known: cat, dog)"
