import pytest

from ddpm.core import discrete
from ddpm.sampling.grid import Power, divided


def test_a_divided_power_grid_is_that_of_more_steps() -> None:
    coarse = divided([1000.0], 4)
    assert coarse == pytest.approx([1000 * (k / 4) ** 1.5 for k in (4, 3, 2, 1)])
    fine = divided(coarse, 3)
    assert fine == pytest.approx([1000 * (k / 12) ** 1.5 for k in range(12, 0, -1)])
    schedule = discrete.cosine(1000)
    rounded = [schedule.level(round(timestep)) for timestep in (*fine, 0)]
    assert rounded == Power()(schedule, 12)


def test_it_keeps_the_given_timesteps_and_divides_between() -> None:
    found = divided([900.0, 123.4, 7.0], 5, 2.0)
    assert [found[0], found[5], found[10]] == [900.0, 123.4, 7.0]
    assert found[1] == pytest.approx((0.8 * 30 + 0.2 * 123.4**0.5) ** 2)
    assert found == sorted({*found}, reverse=True)


def test_none_are_below_the_first_tick() -> None:
    assert divided([1.0], 10) == [1.0]
    assert divided([8.0, 1.5], 2) == pytest.approx([8.0, ((8 ** (2 / 3) + 1.5 ** (2 / 3)) / 2) ** 1.5, 1.5])


def test_one_part_changes_nothing() -> None:
    assert divided([40.0, 2.0], 1) == [40.0, 2.0]
