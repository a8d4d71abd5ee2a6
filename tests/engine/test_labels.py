from pathlib import Path

from cases import cases
from ddpm.engine.labels import Labels
from refusal import refuses

ANIMALS = ("cat", "dog", "caf\u00e9")
NUMBERS = ("0", "1", "2", "8", "10")


@cases(
    ("classes", "label", "number"),
    [
        (ANIMALS, "dog", 1),
        (ANIMALS, "1", 1),
        (ANIMALS, 0, 0),
        (ANIMALS, "cafe\u0301", 2),
        (NUMBERS, "8", 3),
        (NUMBERS, 10, 4),
    ],
)
def test_a_class_by_name_or_number(classes: tuple[str, ...], label: str | int, number: int) -> None:
    assert Labels(classes, Path("run")).number(label) == number


@cases(("classes", "label"), [(NUMBERS, "3"), (NUMBERS, 3), (ANIMALS, "3"), (ANIMALS, -1), (ANIMALS, "cow")])
def test_no_number_stands_for_another_class(classes: tuple[str, ...], label: str | int) -> None:
    with refuses("unknown", str(label)):
        Labels(classes, Path("run")).number(label)
