"""benchmarks/overhead.py still measures every solver and every kind of guidance."""

from dataclasses import replace

import pytest

from ddpm import build
from ddpm.config.network import UNetSettings


@pytest.fixture
def overhead():
    import overhead

    return overhead


def test_every_way_spends_time_within_the_network_and_outside(overhead):
    tiny = UNetSettings(in_channels=1, out_channels=1, width=4, multipliers=(1,), blocks=1, attention=())
    subject = replace(overhead.SUBJECTS["digits"], network=tiny, steps=2)
    found = {name: run() for name, run in overhead.ways(subject).items()}
    assert {name for names in found for name in names.split(", ")} >= set(build.SOLVERS)
    assert set(overhead.GUIDED) <= set(found)
    assert all(outside > 0 and within > 0 for outside, within in found.values())
