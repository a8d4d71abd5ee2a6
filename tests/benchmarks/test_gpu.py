"""The rows of benchmarks/gpu.py can be measured, and agree with float32 as far as their precision allows."""

from dataclasses import replace

import pytest


@pytest.mark.parametrize("act", ["train", "sample"])
def test_rows_run(act: str) -> None:
    import gpu
    from gpu_options import measured
    from side_by_side.subject import Subject

    subject = Subject(gpu.SMALL, 8, 4)
    for name, option in gpu.OPTIONS[act].items():
        if option.compile is None and not option.graph:  # these take long, or a GPU
            precise = name != "bf16" and not option.half_weights
            found = measured(act, replace(option, precision="fp32") if precise else option, subject, steps=2, seconds=0)
            assert found["images_per_s"] >= 0, name
            assert found.get("error", 0) < (1e-5 if precise else 0.1), name


def test_a_row_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    import gpu

    found = {"failed": "RuntimeError: there is no such device"}
    assert gpu.words("a", found, 1)[1] == f"failed: {found['failed']}"
    assert gpu.row("train", "fp32", end=0) == {"failed": "no time left"}
