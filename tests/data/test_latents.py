"""Latents of a data set: encoded once, resumed after a kill, never those of another codec."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cases import cases
from ddpm.data.arrays import array_source
from ddpm.data.cache import prepare
from ddpm.data.dataset import Dataset
from ddpm.data.latents import CHUNK, with_latents
from ddpm.data.loader import Steps, batch_of
from ddpm.data.open import open_source
from ddpm.images.geometry import Geometry
from ddpm.system.cache import latents_folder
from refusal import refuses

N = CHUNK + 10
SHAPE = (6, 4, 4)
CPU = torch.device("cpu")


def moments(images: torch.Tensor) -> torch.Tensor:
    """Differs with every image, and with its mirror image."""
    x = images.movedim(-1, 1).float() / 128
    return torch.cat([x, -x], 1)[:, :, ::2, ::2].half()


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    monkeypatch.setenv("DDPM_CACHE", str(tmp_path))
    pixels = np.random.default_rng(0).integers(0, 256, (N, 8, 8, 3), dtype=np.uint8)
    return prepare(array_source(pixels, np.arange(N) % 2, ["a", "b"]), Geometry())


class Counted:
    """An encoder that counts images and is killed after some."""

    def __init__(self, most: int = 10**6) -> None:
        self.seen, self.most = 0, most

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        if self.seen >= self.most:
            raise KeyboardInterrupt
        self.seen += len(images)
        return moments(images)


def made(data: Dataset, encode: Callable[[torch.Tensor], torch.Tensor] = moments, codec: str = "c", flip: bool = True):
    return with_latents(data, encode, SHAPE, codec, flip, CPU)


def test_batches_hold_the_moments_of_their_images_mirrored_as_these(data: Dataset) -> None:
    images, latents = Steps(data, 32, 0, flip=True), Steps(made(data), 32, 0, flip=True)
    for step in (0, 5):
        one, other = images[step], latents[step]
        assert other.images.equal(moments(one.images))
        assert other.conditions["label"].equal(one.conditions["label"])
    assert not images[0].images.equal(Steps(data, 32, 0)[0].images)


def test_a_subset_reads_its_own(data: Dataset) -> None:
    rows = np.array([70, 3, 11])
    assert batch_of(made(data).subset(rows), np.array([2, 0])).images.equal(
        moments(torch.from_numpy(data.read(rows[[2, 0]])))
    )


def test_the_second_time_nothing_is_encoded_but_what_is_missing(data: Dataset) -> None:
    first, again, mirrored = Counted(), Counted(), Counted()
    made(data, first, flip=False)
    made(data, again, flip=False)
    made(data, mirrored)
    assert (first.seen, again.seen, mirrored.seen) == (N, 0, N)


def test_a_killed_call_is_resumed(data: Dataset) -> None:
    with pytest.raises(KeyboardInterrupt):
        made(data, Counted(CHUNK), flip=False)
    draft = latents_folder("c", data.fingerprint) / "plain.f16.draft"
    with draft.open("ab") as file:  # and it was writing
        file.write(b"half an image")
    rest = Counted()
    whole = made(data, rest, flip=False)
    assert rest.seen == N - CHUNK
    assert batch_of(whole, np.arange(N)).images.equal(moments(torch.tensor(data.images)))
    assert not draft.exists()


@cases("after", [0, CHUNK])
def test_two_at_once_write_the_same(data: Dataset, after: int) -> None:
    """One is overtaken by another, which starts where it is, and finishes first; a third has begun its own file."""
    overtaken, codec = Counted(), f"c{after}"
    folder = latents_folder(codec, data.fingerprint)

    def encode(images: torch.Tensor) -> torch.Tensor:
        if overtaken.seen == after:
            made(data, codec=codec, flip=False)
            (folder / "plain.f16.draft").write_bytes(b"a third")
        return overtaken(images)

    whole = made(data, encode, codec, flip=False)
    assert batch_of(whole, np.arange(N)).images.equal(moments(torch.tensor(data.images)))
    assert overtaken.seen == (N if after else CHUNK)
    assert [path.name for path in folder.iterdir()] == ["plain.f16"]


def test_another_codec_or_other_images_have_their_own(data: Dataset) -> None:
    made(data)
    changed = Counted()
    other = made(data, lambda images: -changed.__call__(images), codec="d", flip=False)
    assert changed.seen == N
    assert batch_of(other, np.arange(3)).images.equal(-moments(torch.from_numpy(data.read(np.arange(3)))))
    fewer = Counted()
    made(replace(data, fingerprint="other"), fewer, flip=False)
    assert fewer.seen == N


def test_a_damaged_image_that_is_decoded_as_it_is_read_is_replaced_by_the_next(
    tmp_path: Path, png: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DDPM_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(3):
        image = png(i, size=(8, 8), mode="RGB")
        (folder / f"{i}.png").write_bytes(image[: len(image) - 40 * (i == 1)])
    data = prepare(replace(open_source(folder), streamed=True), Geometry((8, 8), "RGB"), skip_bad=True)
    pixels = torch.tensor(data.read(np.array([0, 2, 2])))
    encoded = replace(made(data), labels=np.arange(3), classes=("a", "b", "c"))
    found = batch_of(encoded, np.arange(3))
    assert found.images.equal(moments(pixels))
    assert found.indices.tolist() == found.conditions["label"].tolist() == [0, 2, 2]
    turned = batch_of(encoded, np.arange(3), mirrored=np.array([False, True, True]))
    assert turned.images[:1].equal(moments(pixels[:1]))
    assert turned.images[1:].equal(moments(pixels[1:].flip(2)))
    kept = batch_of(encoded.subset(np.array([0, 1])), np.arange(2))  # the next one of its own part
    assert kept.images.equal(moments(pixels[[0, 0]]))
    assert kept.conditions["label"].tolist() == [0, 0]
    with refuses("unreadable", "in a row"):
        batch_of(encoded.subset(np.array([1])), np.arange(1))


def test_latents_that_are_not_finite_are_refused_by_name(data: Dataset) -> None:
    def broken(images: torch.Tensor) -> torch.Tensor:
        out = moments(images)
        out[2, 0, 0, 0] = torch.inf
        return out

    with refuses("invalid", data.names[2]):
        made(data, broken)
