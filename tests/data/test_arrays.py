from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest

from ddpm.data.arrays import array_source, open_npz, save_npz
from ddpm.data.dataset import Dataset
from ddpm.system.arrays import NpzArrays
from ddpm.system.errors import InputError
from refusal import refuses

grey = np.arange(12 * 20, dtype=np.uint8).reshape(12, 4, 5)


def saved(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_images_labels_and_class_names(tmp_path: Path) -> None:
    labels = np.arange(12) % 3
    source = open_npz(saved(tmp_path / "a.npz", images=grey, labels=labels, classes=["cat", "dog", "ape", "bee"]))
    assert source.classes == ("cat", "dog", "ape", "bee")
    assert [item.label for item in source.items[:4]] == ["cat", "dog", "ape", "cat"]
    assert [item.name for item in source.items[:2]] == ["00", "01"]
    assert np.array_equal(source.read("11"), grey[11])


def test_numbers_name_themselves_in_their_order(tmp_path: Path) -> None:
    labels = np.array([0, 2, 10] * 4)
    assert open_npz(saved(tmp_path / "a.npz", images=grey, labels=labels)).classes == tuple(map(str, range(11)))


def test_labels_may_be_names() -> None:
    source = array_source(grey, np.array(["b", "a"] * 6))
    assert source.classes == ("a", "b")
    assert source.items[0].label == "b"


def test_guided_diffusion_names(tmp_path: Path) -> None:
    images = np.zeros((2, 4, 4, 3), np.uint8)
    path = tmp_path / "a.npz"
    np.savez(path, images, np.array([1, 0]))
    source = open_npz(path)
    assert [item.label for item in source.items] == ["1", "0"]
    assert source.read("0").shape == (4, 4, 3)  # type: ignore[union-attr]


def test_captions_are_stored_and_read_again(tmp_path: Path) -> None:
    path, labels = tmp_path / "a.npz", np.arange(12) % 2
    for given in (None, labels.tolist()):
        data = Dataset.of(grey, given, [["a cat", "ein Kätzchen 🐱"], "a dog"] + [None] * 10)
        save_npz(data, path)
        source = open_npz(path)
        assert [item.caption for item in source.items] == ["a cat\nein Kätzchen 🐱", "a dog"] + [None] * 10
        assert source.key == array_source(data.images, data.labels, data.classes, data.captions).key
        assert source.key != array_source(data.images, data.labels, data.classes).key


def test_the_key_follows_images_labels_and_classes() -> None:
    labels = np.arange(12) % 2
    keys = {
        array_source(grey).key,
        array_source(grey + 1).key,
        array_source(grey, labels).key,
        array_source(grey, 1 - labels).key,
        array_source(grey, labels, ["a", "b"]).key,
        array_source(grey.reshape(12, 5, 4)).key,
    }
    assert len(keys) == 6


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": grey}, "has no array 'images' .*pictures"),
        ({"images": grey.astype(np.float32)}, "float32; .*uint8"),
        ({"images": np.zeros((2, 3, 8, 8), np.uint8)}, "2 × 3 × 8 × 8; .*N × H × W"),
        ({"images": np.zeros((0, 8, 8), np.uint8)}, "0 × 8 × 8; .*N × H × W"),
        ({"images": grey, "labels": np.zeros(5, int)}, r"shape \(5,\); .*\(12,\)"),
        ({"images": grey, "labels": np.zeros(12)}, "integers or names, not float64"),
        ({"images": grey, "labels": np.full(12, -1)}, "integers or names, not -1"),
        ({"images": grey, "labels": np.full(12, 2), "classes": ["a", "b"]}, "label 2, but names only 2 classes"),
        ({"images": grey, "labels": np.array(["dog"] * 12), "classes": ["cat"]}, "label 'dog', which is none"),
        ({"images": grey, "labels": np.zeros(12, int), "classes": ["cat", "cat"]}, "names the class 'cat' twice"),
        ({"images": grey, "captions": np.zeros(12)}, "captions of .* float64; use N strings"),
        ({"images": grey, "captions": np.array([["a"] * 12])}, r"\(1, 12\) .*; use N strings"),
        ({"images": grey, "captions": np.array(["a"])}, "are 1; use a list of 12"),
        ({"images": np.array([{}])}, "not a readable .npz"),
        ({"images": np.uint8(3)}, "N × H × W"),
        ({"images": np.array(["a"])}, "<U1; .*uint8"),
        ({"images": grey, "labels": np.full(12, 10**8)}, "reach 100000000, .*99999"),
        ({"images": grey, "labels": np.full(12, 2**64 - 1, np.uint64)}, "reach 18446744073709551615, .*99999"),
        ({"images": grey, "labels": np.int64(3)}, r"shape \(\); .*\(12,\)"),
        ({"images": grey, "labels": np.zeros(12, int), "classes": np.array("a")}, "classes of .* list of strings"),
        ({"images": grey, "captions": np.array("a")}, "captions of .* use N strings"),
    ],
)
def test_what_does_not_fit(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_npz(saved(tmp_path / "a.npz", **arrays))


def test_what_is_no_npz(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    for content in (b"", b"text", b"PK\x03\x04 cut"):
        path.write_bytes(content)
        with refuses("unreadable"):
            open_npz(path)


def test_a_single_array_is_no_npz(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", grey)
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    with refuses("unreadable", "a.npz", "numpy.savez"):
        open_npz(tmp_path / "a.npz")


def test_arrays_larger_than_the_memory_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only their headers are read."""
    np.savez_compressed(tmp_path / "a.npz", images=grey, meta=np.array([{}]))
    assert len(open_npz(tmp_path / "a.npz")) == 12
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=grey.nbytes - 1))
    with monkeypatch.context() as patch:
        patch.setattr(NpzArrays, "read", None)
        with refuses("memory", "a.npz"):
            open_npz(tmp_path / "a.npz")
