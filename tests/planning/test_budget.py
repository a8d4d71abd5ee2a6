"""Budgets of time."""

import re

import pytest

from ddpm.planning import budget
from ddpm.planning.budget import whole_steps
from ddpm.system.units import duration
from refusal import refuses


@pytest.mark.parametrize("stages", [1, 3])
def test_the_budget_that_is_advised_is_that_of_all_stages(stages: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget.time, "monotonic", lambda: 25.0)

    def steps(seconds: float) -> int:
        return whole_steps(100.0, 10, seconds, 0.0, lambda images: {"scoring": 0.05 * images}, 1 / stages)

    with refuses("invalid", "--for 20s", "took 25 s") as refused:
        steps(20.0)
    assert ("in each of 3 stages" in str(refused.value)) == (stages == 3)
    (advised,) = re.findall("use --for (.*) or longer", str(refused.value))
    assert steps(duration(advised)) > 100
