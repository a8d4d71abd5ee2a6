"""Features of a set are computed once, are the same whoever asks, and are never another network's."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ddpm.data.dataset import Dataset
from ddpm.metrics.features.embedded import Embedded
from ddpm.metrics.features.extract import CHUNK, extract, extract_once
from ddpm.metrics.memorisation import Thumbnail

pixels = np.random.default_rng(0).integers(0, 256, (75, 8, 8, 3), np.uint8)


class Counting:
    """Each image's sum and first value, and how many images were looked at."""

    name, resize, dim = "counting", "none", 2

    def __init__(self, hash: str = "f" * 16) -> None:
        self.hash = hash
        self.batches: list[int] = []

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(images))
        flat = images.flatten(1).float()
        return torch.stack([flat.sum(1), flat[:, 0]], 1)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDPM_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def data() -> Dataset:
    return Dataset(pixels, fingerprint="print")


def files(folder: Path) -> list[Path]:
    return sorted(p for p in (folder / "cache").rglob("*") if p.is_file())


expected = torch.stack(
    [torch.from_numpy(pixels.reshape(75, -1).sum(1)).float(), torch.from_numpy(pixels[:, 0, 0, 0]).float()], 1
)


@pytest.mark.parametrize("n", [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 75])
def test_every_image_has_its_row_and_every_batch_is_as_large(n):
    network, seen = Counting(), []
    found = extract(network, Dataset(pixels[:n]), lambda done, total: seen.append((done, total)))
    assert torch.equal(found, expected[:n])
    assert set(network.batches) == {CHUNK}
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1] == (n, n)


@pytest.mark.parametrize("extractor", [Embedded((8, 8)), Thumbnail()], ids=lambda e: e.name)
def test_an_image_has_the_same_bits_among_more_and_among_fewer(extractor):
    whole = extract(extractor, Dataset(pixels))
    for n in (1, 2, 31, 33, 74):
        assert torch.equal(extract(extractor, Dataset(pixels[:n])), whole[:n])
    assert torch.equal(extract(extractor, Dataset(pixels).subset(np.array([74, 3]))), whole[[74, 3]])


def test_once(data, tmp_path):
    network = Counting()
    first = extract_once(network, data)
    assert torch.equal(first, expected)
    calls = len(network.batches)
    again = extract_once(network, replace(data), lambda done, total: pytest.fail("there is nothing to do"))
    assert torch.equal(again, first)
    assert len(network.batches) == calls
    assert [path.name for path in files(tmp_path)] == ["f" * 16 + "-print.npy"]


@pytest.mark.parametrize("kept", [False, True])
def test_a_subset_has_the_rows_of_the_whole(kept, data):
    network = Counting()
    if kept:
        extract_once(network, data)
    rows = np.array([74, 0, 5, 5])
    assert torch.equal(extract_once(network, data.subset(rows)), expected[rows])
    assert torch.equal(extract_once(network, data), expected)
    assert torch.equal(extract_once(network, data.subset(rows).subset(np.array([1]))), expected[:1])
    assert sum(network.batches) == 3 * CHUNK
    assert extract_once(network, data.subset(np.arange(0))).shape == (0, 2)


def test_other_images_and_other_networks_have_files_of_their_own(data, tmp_path):
    extract_once(Counting(), data)
    other = Dataset(pixels[::-1].copy(), fingerprint="other")
    assert torch.equal(extract_once(Counting(), other), expected.flip(0))
    network = Counting("0" * 16)
    extract_once(network, data)
    assert network.batches
    assert len(files(tmp_path)) == 3


def test_data_without_a_name_is_not_kept_under_that_of_another():
    with pytest.raises(AssertionError, match="fingerprint"):
        extract_once(Counting(), Dataset(pixels))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def of_fewer(path: Path) -> None:
    np.save(path, expected[:-1].numpy())


def of_integers(path: Path) -> None:
    np.save(path, expected.to(torch.int32).numpy())


def of_objects(path: Path) -> None:
    np.save(path, np.array([None] * 75), allow_pickle=True)


def a_zip(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, expected.numpy())


@pytest.mark.parametrize(
    "damage",
    [cut, of_fewer, of_integers, of_objects, a_zip, lambda p: p.write_bytes(b""), lambda p: p.write_bytes(b"PK" * 99)],
    ids=["cut", "fewer", "integers", "objects", "a zip", "empty", "nonsense"],
)
def test_what_is_damaged_is_computed_again(damage, data, tmp_path):
    extract_once(Counting(), data)
    damage(files(tmp_path)[0])
    network = Counting()
    assert torch.equal(extract_once(network, data), expected)
    assert network.batches
    network.batches.clear()
    assert torch.equal(extract_once(network, data), expected)
    assert not network.batches


def test_a_cache_that_cannot_be_written_costs_only_time(data, tmp_path):
    (tmp_path / "cache").write_text("a file is in the way")
    for _ in range(2):
        network = Counting()
        assert torch.equal(extract_once(network, data), expected)
        assert network.batches


def test_a_full_disk_leaves_nothing_behind(data, tmp_path, monkeypatch):
    def full(handle: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    assert torch.equal(extract_once(Counting(), data), expected)
    assert not files(tmp_path)
