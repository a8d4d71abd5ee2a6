"""The stages of progressive distillation."""

from pathlib import Path

import pytest

from ddpm.planning.progressive import Halving, stages
from refusal import refuses

OUT = Path("fast")


def test_each_stage_halves_the_steps_of_the_one_before():
    first, second, last = stages(OUT, [4], None)
    assert first == Halving(OUT / "stages" / "16", 16, None, (16, 8, 4))
    assert second == Halving(OUT / "stages" / "8", 8, OUT / "stages" / "16", (16, 8, 4))
    assert last == Halving(OUT, 4, OUT / "stages" / "8", (16, 8, 4))
    assert stages(OUT, [3], 6) == [Halving(OUT, 3, None, (3,))]
    assert first.share == 1 / 3
    assert [stage.steps for stage in stages(OUT, [1], 8)] == [4, 2, 1]


@pytest.mark.parametrize("total", [2, 4, 12, 0])
def test_the_teachers_steps_are_the_students_doubled(total):
    with refuses("invalid", "--teacher-steps", str(total)):
        stages(OUT, [4], total)


def test_one_number_of_steps():
    with refuses("conflict", "--steps"):
        stages(OUT, [2, 4], None)
