"""What a run knows beside its engine."""

from dataclasses import replace

import torch

from ddpm.engine.options import settings
from ddpm.engine.run import LoadedRun
from ddpm.engine.subjects import NOTHING
from refusal import refuses


def test_a_name_goes_before_a_number(loaded: LoadedRun) -> None:
    """Where classes have numbers as names, "2" is the name, and no number of a class is taken."""
    data = loaded.config.data.model_copy(update={"classes": ("10", "11", "2", "a", "b", "c", "d", "e", "f", "g")})
    other = replace(loaded, config=loaded.config.model_copy(update={"data": data}))
    assert other.labels("2", 1) == [2]
    assert other.labels("10", 1) == [0]
    assert other.labels(2, 1) == [2]
    with refuses("unknown", "'9'"):
        other.labels("9", 1)


def test_preparing_leaves_the_run_and_torchs_generator_alone(loaded: LoadedRun) -> None:
    before, weights = torch.get_rng_state(), [p.clone() for p in loaded.engine.model.parameters()]
    how = settings(loaded, {"guide_with": "step-000000008", "guidance": 2.0, "steps": 3})
    ready = loaded.prepared(how)
    assert ready.prepared(how) is ready
    assert loaded.weak is None
    ready.draw(how, NOTHING, 0, [0])
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(weights, loaded.engine.model.parameters(), strict=True))
