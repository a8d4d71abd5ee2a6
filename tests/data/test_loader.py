import time
import zlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddpm.data.dataset import Dataset
from ddpm.data.loader import Batches, Steps, batch_of
from ddpm.data.order import flipped, step_indices

pixels = np.random.default_rng(0).integers(0, 256, (50, 4, 6, 3), dtype=np.uint8)
dataset = Dataset(pixels, np.arange(50) % 7)


def checksums(captions: Sequence[str]) -> np.ndarray:
    """An encoder of captions, (b, 1)."""
    return np.array([[zlib.crc32(caption.encode())] for caption in captions], np.int64)


several = [[f"{i} in words", f"{i} in others", f"{i} in yet others"][: i % 4] for i in range(50)]
captioned = replace(dataset, captions=tuple(map("\n".join, several)), encode=checksums)


def test_a_step_is_what_its_order_says() -> None:
    batch = Steps(dataset, batch=32, seed=3)[1]
    _, indices = step_indices(3, 1, 32, 50)
    assert batch.images.equal(torch.from_numpy(pixels[indices]))
    assert batch.indices.equal(torch.from_numpy(indices))
    assert batch.conditions.keys() == {"label"}
    assert batch.conditions["label"].equal(torch.from_numpy(indices % 7))
    assert (batch.images.dtype, batch.conditions["label"].dtype) == (torch.uint8, torch.int64)


def test_flips_are_left_to_right_where_the_coin_says() -> None:
    batch = Steps(dataset, batch=32, seed=3, flip=True)[1]
    epochs, indices = step_indices(3, 1, 32, 50)
    mirrored = flipped(3, epochs, indices)
    assert 0 < mirrored.sum() < 32
    for image, i, flip in zip(batch.images, indices, mirrored, strict=True):
        assert np.array_equal(image, pixels[i][:, ::-1] if flip else pixels[i])


@given(st.integers(1, 70), st.integers(1, 9), st.integers(0, 100))
def test_ranks_share_the_batch(batch: int, world: int, step: int) -> None:
    paired = replace(captioned, partners={"beside": Dataset(pixels[:, ::2])})
    whole = Steps(paired, batch, seed=0, flip=True)[step]
    parts = [Steps(paired, batch, seed=0, flip=True, rank=rank, world=world)[step] for rank in range(world)]
    assert whole.conditions.keys() == {"label", "beside", "caption"}
    for kind, raw in whole.conditions.items():
        assert torch.cat([part.conditions[kind] for part in parts]).equal(raw)
    assert torch.cat([part.images for part in parts]).equal(whole.images)
    assert torch.cat([part.indices for part in parts]).equal(whole.indices)
    sizes = {len(part.images) for part in parts}
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(workers: int) -> None:
    steps = Steps(dataset, batch=32, seed=1, flip=True)
    for here, ahead in zip(
        islice(Batches(steps, start=5, workers=0), 20),
        islice(Batches(steps, start=5, workers=workers), 20),
        strict=True,
    ):
        assert here.images.equal(ahead.images)
        assert here.indices.equal(ahead.indices)


def test_any_start_continues_the_same_run() -> None:
    steps = Steps(captioned, batch=32, seed=1, flip=True)
    run = list(islice(Batches(steps), 8))
    for a, b in zip(run[5:], Batches(steps, start=5), strict=False):
        assert a.images.equal(b.images)
        assert a.conditions["caption"].equal(b.conditions["caption"])


def test_no_conditions() -> None:
    assert Steps(Dataset(pixels), batch=4, seed=0)[0].conditions == {}


def test_a_condition_is_made_of_the_image_as_it_is_shown() -> None:
    """Of the mirrored one, where it is mirrored; for part of the images as for all."""
    first_column = replace(dataset, derived={"edge": lambda images, names: images[:, :, 0]})
    batch = Steps(first_column, batch=32, seed=3, flip=True)[1]
    assert batch.conditions["edge"].equal(batch.images[:, :, 0])
    part = batch_of(first_column.subset(np.array([7, 3])), np.array([1]))
    assert np.array_equal(part.conditions["edge"], pixels[[3], :, 0])


def test_each_epoch_chooses_among_the_captions_of_an_image() -> None:
    """Every one of them in time; the empty caption where it has none."""
    steps, seen = Steps(captioned, batch=50, seed=1), {i: set[int]() for i in range(50)}
    for step in range(40):
        batch = steps[step]
        for i, (code,) in zip(batch.indices.tolist(), batch.conditions["caption"].tolist(), strict=True):
            seen[i].add(code)
    assert seen == {i: set(checksums(lines or [""]).ravel().tolist()) for i, lines in enumerate(several)}


def test_without_an_epoch_the_first_caption_counts_and_without_an_encoder_none() -> None:
    first = checksums([lines[0] if lines else "" for lines in several])
    assert np.array_equal(batch_of(captioned, np.arange(50)).conditions["caption"], first)
    assert batch_of(replace(captioned, encode=None), np.arange(50)).conditions.keys() == {"label"}
    assert batch_of(replace(captioned, captions=None), np.arange(50)).conditions.keys() == {"label"}
    part = captioned.subset(np.array([7, 3]))
    assert np.array_equal(batch_of(part, np.array([1])).conditions["caption"], first[[3]])


def test_waiting_is_measured_and_work_is_not() -> None:
    batches = Batches(Steps(dataset, batch=4, seed=0), workers=0)
    for _ in islice(batches, 3):
        time.sleep(0.05)
    assert 0 < batches.waited < 0.1


def test_an_error_while_reading_reaches_the_caller() -> None:
    broken = Dataset(pixels[:3], rows=np.arange(50))
    with pytest.raises(IndexError):
        next(iter(Batches(Steps(broken, batch=50, seed=0), workers=1)))
