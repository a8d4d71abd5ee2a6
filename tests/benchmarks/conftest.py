import sys
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a script there were run from the root of the checkout."""
    root = Path(__file__).parents[2]
    monkeypatch.setattr(sys, "path", [str(root / "benchmarks"), str(root), *sys.path])
