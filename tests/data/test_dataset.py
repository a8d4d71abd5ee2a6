import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cases import cases
from colour_profiles import adobe_to_srgb, rgb_profile
from ddpm.data.dataset import Dataset, channel_stats, map_pixels
from refusal import refuses

pixels = np.random.default_rng(0).integers(0, 256, (20, 4, 6, 3), dtype=np.uint8)
names = tuple(f"{i}.png" for i in range(20))


@pytest.fixture
def mapped(tmp_path: Path) -> Dataset:
    path = tmp_path / "images.u8"
    pixels.tofile(path)
    captions = tuple(f"caption {i}" for i in range(20))
    return Dataset(map_pixels(path, pixels.shape), np.arange(20) % 3, ("a", "b", "c"), captions, names, "f")


def test_what_it_is(mapped: Dataset) -> None:
    assert (len(mapped), mapped.shape, mapped.mode) == (20, (4, 6, 3), "RGB")
    assert np.array_equal(mapped.images, pixels)
    assert np.array_equal(mapped.read(np.array([3, 1, 3])), pixels[[3, 1, 3]])


def test_what_is_read_is_a_copy_and_what_is_stored_cannot_change(mapped: Dataset) -> None:
    mapped.read(np.arange(2))[:] = 0
    assert np.array_equal(mapped.images, pixels)
    with pytest.raises(ValueError, match="read-only"):
        mapped.pixels[0] = 0


def test_subsets_of_subsets(mapped: Dataset) -> None:
    part = mapped.subset(np.arange(1, 20, 2)).subset(np.array([4, 0]))
    assert part.names == ("9.png", "1.png")
    assert part.captions == ("caption 9", "caption 1")
    assert part.labels is not None
    assert part.labels.tolist() == [0, 1]
    assert np.array_equal(part.images, pixels[[9, 1]])
    assert np.array_equal(part.read(np.array([1])), pixels[[1]])
    assert (len(part), part.fingerprint, part.classes) == (2, "f", ("a", "b", "c"))
    assert part.pixels is mapped.pixels


def test_a_mapped_file_is_sent_by_its_name(mapped: Dataset) -> None:
    part = mapped.subset(np.array([5]))
    sent = pickle.dumps(part)
    assert len(sent) < pixels.nbytes
    assert np.array_equal(pickle.loads(sent).images, pixels[[5]])


def test_an_array_is_sent_as_it_is() -> None:
    assert np.array_equal(pickle.loads(pickle.dumps(Dataset(pixels))).images, pixels)


@dataclass(frozen=True)
class Lengths:
    """An encoder of captions."""

    scale: int

    def __call__(self, captions: Sequence[str]) -> np.ndarray:
        return self.scale * np.array([[len(caption)] for caption in captions])


def test_an_encoder_is_sent_along(mapped: Dataset) -> None:
    sent = pickle.loads(pickle.dumps(replace(mapped, encode=Lengths(2))))
    assert sent.captions == mapped.captions
    assert sent.encode(["", "four"]).tolist() == [[0], [8]]


def test_pictures_in_memory_are_converted_to_srgb() -> None:
    picture = Image.fromarray(np.full((4, 4, 3), (40, 160, 200), np.uint8))
    picture.info["icc_profile"] = rgb_profile()
    expected = adobe_to_srgb(np.array([40, 160, 200]) / 255) * 255
    assert np.abs(Dataset.of([picture]).images[0, 0, 0] - expected).max() < 2


def test_captions_of_images_in_memory() -> None:
    given = ["a  cat\non a mat", ["one", "two ", "one", ""], "", None, [], ("three",), np.array(["four", "five"])]
    data = Dataset.of(pixels[:7], captions=given)  # type: ignore[arg-type]
    assert data.captions == ("a cat on a mat", "one\ntwo", "", "", "", "three", "four\nfive")
    assert Dataset.of(pixels[:2], ["a", "b"], [None, ""]).captions is None


@cases(
    ("captions", "named"),
    [
        ("ab", "one string"),
        (["a"], "use a list of 2"),
        (["a", 7], "7"),
        (["a", float("nan")], "nan"),
        (["a", [b"b"]], "b"),
    ],
)
def test_other_captions_are_refused(captions: Any, named: str) -> None:
    with refuses("invalid", named):
        Dataset.of(pixels[:2], captions=captions)


def test_channel_stats(mapped: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddpm.data.dataset.CHUNK", 7)
    for dataset, values in ((mapped, pixels), (mapped.subset(np.array([3, 8])), pixels[[3, 8]])):
        x = values / 127.5 - 1
        mean, std = channel_stats(dataset)
        assert np.allclose(mean, x.mean((0, 1, 2)), atol=1e-12)
        assert np.allclose(std, x.std((0, 1, 2)), atol=1e-12)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_channels_are_a_mode(channels: int, mode: str) -> None:
    assert Dataset(np.zeros((1, 2, 2, channels), np.uint8)).mode == mode


def test_channel_stats_of_anything_that_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """In parts, and exactly: images of one value have a spread of 0."""

    class Read:
        shape = (4, 6, 3)
        seen: list[int] = []  # noqa: RUF012

        def __len__(self) -> int:
            return 20

        def read(self, indices: np.ndarray) -> np.ndarray:
            self.seen.extend(indices.tolist())
            return pixels[indices]

    monkeypatch.setattr("ddpm.data.dataset.CHUNK", 7)
    mean, std = channel_stats(Read())
    assert Read.seen == list(range(20))
    assert np.allclose(mean, (pixels / 127.5 - 1).mean((0, 1, 2)), atol=1e-12)
    assert np.allclose(std, (pixels / 127.5 - 1).std((0, 1, 2)), atol=1e-12)
    mean, std = channel_stats(Dataset(np.full((3, 2, 2, 1), 51, np.uint8)))
    assert (mean.tolist(), std.tolist()) == ([51 / 127.5 - 1], [0])
