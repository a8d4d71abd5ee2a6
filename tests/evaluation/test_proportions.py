import numpy as np
import pytest

from ddpm.data.dataset import Dataset
from ddpm.evaluation.drawn import proportions_of


def reference(*counts: int, classes: tuple[str, ...] = ("cat", "dog")) -> Dataset:
    labels = np.repeat(np.arange(len(counts)), counts)
    return Dataset(np.zeros((len(labels), 2, 2, 1), np.uint8), labels=labels, classes=classes)


def test_the_references_proportions_in_the_order_of_the_run() -> None:
    assert proportions_of(("dog", "cat"), reference(3, 1)) == ((0.25, 0.75), ())


def test_classes_that_one_of_the_two_lacks() -> None:
    proportions, notes = proportions_of(("cat", "emu"), reference(3, 1))
    assert proportions == (1.0, 0.0)
    absent, unknown = notes
    assert absent.startswith("the reference has no emu:")
    assert unknown == "the reference has images of classes that the run lacks: dog"


@pytest.mark.parametrize("real", [reference(3, 1), Dataset(np.zeros((4, 2, 2, 1), np.uint8))])
def test_nothing_in_common_is_even_and_said(real: Dataset) -> None:
    proportions, [note] = proportions_of(("emu", "yak"), real)
    assert proportions == (0.5, 0.5)
    assert "equally often" in note


def test_a_run_without_classes_has_no_shares() -> None:
    assert proportions_of((), reference(3, 1)) == ((), ())
