from pathlib import Path

import numpy as np
import pytest
import torch

from ddpm.evaluation.likelihood import SHARD, Arrays, answers, joined, packed
from ddpm.evaluation.shards import Shards
from ddpm.tasks.likelihood import Columns
from refusal import refuses


def answer(first: int, n: int) -> Columns:
    """Of images with bits first, first + 1, …"""
    bits = torch.arange(first, first + n).float()
    parts = {"prior": bits / 4, "terms": torch.stack([bits / 4, bits / 2], 1), "x0_mse": torch.zeros(n, 2)}
    return {"bits": bits, "calls": torch.full((n,), 3), **parts}


@pytest.fixture
def kept(tmp_path: Path) -> Shards[Arrays]:
    """Of 50 and 20 images, the first file in two batches."""
    made = answers(tmp_path / "deep" / "answers", SHARD + 20)
    made.write(1, packed([answer(SHARD, 20)]))
    made.write(0, packed([answer(0, 30), answer(30, 20)]))
    return made


def test_what_is_read_is_what_was_written(kept: Shards[Arrays]) -> None:
    assert kept.missing() == []
    found = joined(kept)
    bits = np.arange(70, dtype=np.float32)
    assert found["bits"].dtype == np.float32
    assert np.array_equal(found["bits"], bits)
    assert np.array_equal(found["calls"], np.full(70, 3))
    assert np.array_equal(found["prior"], bits / 4)
    assert np.array_equal(found["terms"], np.stack([bits / 4, bits / 2], 1))
    assert found["x0_mse"].shape == (70, 2)


def test_of_the_ode_there_are_no_terms(tmp_path: Path) -> None:
    made = answers(tmp_path, 2)
    made.write(0, packed([{"bits": torch.tensor([1.0, 2.0]), "calls": torch.tensor([9, 9])}]))
    assert set(joined(made)) == {"bits", "calls"}


def test_more_images_of_the_same_take_what_is_whole(kept: Shards[Arrays]) -> None:
    assert answers(kept.folder, SHARD).missing() == []
    assert answers(kept.folder, 2 * SHARD + 1).missing() == [1, 2]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", b"no archive"])
def test_what_is_damaged_is_missing(kept: Shards[Arrays], damage: bytes) -> None:
    (kept.folder / "000000-000050.npz").write_bytes(damage)
    assert kept.missing() == [0]
    with refuses("unreadable"):
        joined(kept)


def test_a_file_cut_short_is_missing(kept: Shards[Arrays]) -> None:
    path = kept.folder / "000050-000070.npz"
    path.write_bytes(path.read_bytes()[:-40])
    assert kept.missing() == [1]
    path.unlink()
    assert kept.missing() == [1]
