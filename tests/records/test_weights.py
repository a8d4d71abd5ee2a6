from pathlib import Path

import pytest
import torch

from ddpm.records.weights import averaged, fingerprint
from ddpm.system.errors import InputError


def test_a_run_has_the_weights_of_its_last_checkpoint(digits_run: Path) -> None:
    last, before = (averaged(digits_run / "checkpoints" / f"step-{step:09d}") for step in (12, 8))
    assert fingerprint(averaged(digits_run)) == fingerprint(last) != fingerprint(before)
    assert last.keys() == before.keys()


def test_the_fingerprint_is_of_names_and_values_in_any_order() -> None:
    a, b = torch.arange(4.0), torch.ones(2)
    known = fingerprint({"a": a, "b": b})
    assert len(known) == 16
    assert fingerprint({"b": b, "a": a}) == known
    assert fingerprint({"a": a, "c": b}) != known
    assert fingerprint({"a": a, "b": b + 1e-6}) != known


def test_no_weights(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no model\.safetensors yet"):
        averaged(tmp_path)
