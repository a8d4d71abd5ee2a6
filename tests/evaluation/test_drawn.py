"""Samples on disk are those of the pipeline, whoever draws them and however often it is interrupted."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddpm.config.guidance import Guide
from ddpm.config.options import changed, flat
from ddpm.config.sampling import SamplingConfig
from ddpm.data.dataset import Dataset
from ddpm.engine.run import LoadedRun
from ddpm.evaluation.drawn import SHARD, SampleRecipe, SampleStore, captions_by_class
from ddpm.tasks.generate import sample
from refusal import refuses

N = 150
"""Two files and a part of a third."""
SHARES = (0.5, 0, 0.2, 0, 0.3, 0, 0, 0, 0, 0)
HOW = SamplingConfig.of(solver="ddim", steps=2, eta=0.5, guidance=2)


@pytest.fixture(scope="module")
def recipe(loaded: LoadedRun) -> SampleRecipe:
    return SampleRecipe(loaded.weights, HOW, 7, SHARES)


def ready(folder: Path, n: int = N) -> SampleStore:
    return SampleStore(folder, n, (8, 8, 1))


def draw(
    to: SampleStore, loaded: LoadedRun, recipe: SampleRecipe, numbers: list[int] | None = None, batch: int = 64
) -> list[int]:
    numbers = to.missing() if numbers is None else numbers
    return list(to.draw(loaded, recipe, numbers, batch, lambda i, of: None))


@pytest.fixture(scope="module")
def whole(loaded: LoadedRun, recipe: SampleRecipe, tmp_path_factory: pytest.TempPathFactory) -> SampleStore:
    """All files, drawn in one go."""
    folder = tmp_path_factory.mktemp("drawn")
    draw(ready(folder), loaded, recipe)
    return ready(folder)


def files(found: SampleStore) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in found.folder.iterdir()}


def everything(found: SampleStore) -> np.ndarray:
    return found.read(np.arange(len(found)))


# labels

proportions = (
    st.lists(st.integers(0, 50), min_size=1, max_size=12).filter(any).map(lambda n: tuple(k / sum(n) for k in n))
)


@settings(max_examples=60)
@given(proportions)
def test_the_first_n_samples_have_their_shares_for_every_n(given_shares: tuple[float, ...]) -> None:
    labels = SampleRecipe("", HOW, 0, given_shares).labels(np.arange(300))
    assert labels is not None
    held = np.cumsum(np.eye(len(given_shares))[labels], 0)
    wanted = np.arange(1, 301)[:, None] * np.array(given_shares)
    assert np.abs(held - wanted).max() <= 1 + 1e-9
    assert not held[-1][np.array(given_shares) == 0].any()


@settings(max_examples=30)
@given(proportions, st.lists(st.integers(0, 700), min_size=1, max_size=20))
def test_label_i_does_not_depend_on_what_it_is_asked_with(given_shares: tuple[float, ...], indices: list[int]) -> None:
    recipe = SampleRecipe("", HOW, 0, given_shares)
    whole = recipe.labels(np.arange(701))
    assert whole is not None
    assert recipe.labels(np.array(indices)) == [whole[i] for i in indices]


def test_labels_depend_on_the_shares_alone() -> None:
    usual = SampleRecipe("", HOW, 0, SHARES)
    assert usual.labels(np.arange(99)) == SampleRecipe("w", SamplingConfig(), 5, SHARES).labels(np.arange(99))
    assert set(usual.labels(np.arange(99)) or []) == {0, 2, 4}
    assert SampleRecipe("", HOW, 0).labels(np.arange(3)) is None


def test_each_sample_has_a_caption_of_its_class() -> None:
    """Each as often as in the data; images of other classes, and images without a caption, have no part in it."""
    captions = ["a cat", "a dog", "", "a tabby", "a cow", "a dog\nanother"]
    data = Dataset(np.zeros((6, 8, 8, 1), np.uint8), np.array([0, 1, 0, 0, 2, 1]), ("cat", "dog", "cow"), captions)
    found = captions_by_class(data, ("dog", "cat", "fish"))
    assert [sorted(one) for one in found] == [["a dog", "a dog"], ["a cat", "a tabby"], []]
    made = SampleRecipe("", HOW, 0, (0.25, 0.5, 0.25), found).subjects(np.arange(8))
    assert sorted(zip(made.labels or (), made.prompts or (), strict=True)) == [
        *[(0, "a dog")] * 2,
        *[(1, "a cat")] * 2,
        *[(1, "a tabby")] * 2,
        *[(2, "")] * 2,
    ]
    [alone] = captions_by_class(data, ())
    assert sorted(alone) == ["a cat", "a cow", "a dog", "a dog", "a tabby"]
    assert SampleRecipe("", HOW, 0, (), (alone,)).subjects(np.array([6])).prompts == (alone[1],)


def test_many_classes_in_their_shares() -> None:
    counts = np.random.default_rng(0).integers(0, 500, 1000)
    labels = SampleRecipe("", HOW, 0, tuple((counts / counts.sum()).tolist())).labels(np.arange(2000))
    held = np.bincount(labels or [], minlength=1000)
    assert np.abs(held - 2000 * counts / counts.sum()).max() < 1


# the name


@pytest.mark.parametrize(
    "change",
    [
        {"weights": "other"},
        {"seed": 8},
        {"proportions": ()},
        {"proportions": SHARES[::-1]},
        {"sampling": HOW.model_copy(update={"steps": 3})},
        {"sampling": changed(HOW, {"eta": 0.4})},
        {"sampling": changed(HOW, {"guidance": 1.0})},
        {"sampling": changed(HOW, {"clip": False})},
        {"sampling": HOW.model_copy(update={"grid": "uniform"})},
        {"sampling": changed(HOW, {"guidance_interval": (0.2, 5.0)})},
        {"sampling": changed(HOW, {"guide_with": Guide(checkpoint="step-8", weights="w")})},
        {"sampling": SamplingConfig.of(solver="ancestral", steps=2, guidance=2)},
    ],
    ids=str,
)
def test_what_changes_pixels_changes_the_name(change: dict[str, Any], recipe: SampleRecipe) -> None:
    guide = Guide(checkpoint="step-8", weights="other")
    assert replace(recipe, sampling=changed(HOW, {"guide_with": guide})).key != replace(recipe, **change).key
    assert replace(recipe, **change).key != recipe.key
    assert replace(recipe).key == recipe.key
    assert len(recipe.key) == 12


# drawing


def test_they_are_the_pipelines_samples(whole: SampleStore, loaded: LoadedRun, recipe: SampleRecipe) -> None:
    labels = recipe.labels(np.arange(N))
    images = sample(loaded, N, label=labels, seed=7, **flat(HOW))
    assert np.array_equal(everything(whole)[..., 0], np.stack([np.asarray(image) for image in images]))
    assert len(np.unique(everything(whole), axis=0)) == N


def test_without_labels_they_are_the_pipelines_too(loaded: LoadedRun, tmp_path: Path) -> None:
    how = SamplingConfig(steps=2)
    draw(found := ready(tmp_path / "s", 3), loaded, SampleRecipe(loaded.weights, how, 1))
    images = sample(loaded, 3, seed=1, steps=2, guidance=1.0)
    assert np.array_equal(everything(found)[..., 0], np.stack([np.asarray(image) for image in images]))


def test_reading(whole: SampleStore) -> None:
    """In any order, with repeats, over the borders of files; n is not all that is there."""
    assert (len(whole), whole.shape) == (N, (8, 8, 1))
    assert len(files(whole)) == 3
    at = np.array([149, 0, 63, 64, 64, 128, 1])
    assert np.array_equal(whole.read(at), everything(whole)[at])
    assert whole.read(at).flags.owndata
    assert whole.read(np.arange(0)).shape == (0, 8, 8, 1)


def test_the_batch_changes_no_pixel(
    whole: SampleStore, loaded: LoadedRun, recipe: SampleRecipe, tmp_path: Path
) -> None:
    for batch in (1, 48, 100):
        found = ready(tmp_path / str(batch))
        draw(found, loaded, recipe, [1], batch)
        assert files(found) == {"000001.npy": files(whole)["000001.npy"]}


def test_progress_counts_network_steps(loaded: LoadedRun, recipe: SampleRecipe, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    found = ready(tmp_path / "s")
    for _ in found.draw(loaded, recipe, [0, 2], 40, lambda done, total: seen.append((done, total))):
        pass
    assert seen == [(i, 8) for i in range(1, 9)]


def test_only_what_is_missing_is_drawn(
    whole: SampleStore, loaded: LoadedRun, recipe: SampleRecipe, tmp_path: Path
) -> None:
    found = ready(tmp_path / "s")
    assert found.missing() == [0, 1, 2]
    one = found.draw(loaded, recipe, found.missing(), 64, lambda i, of: None)
    assert next(one) == 0
    one.close()  # killed after the first
    draft = found.folder / ".000001.npy.0123.part"
    draft.write_bytes(b"half")
    assert found.missing() == [1, 2]
    assert draw(found, loaded, recipe) == [1, 2]
    assert files(found) == files(whole) | {draft.name: b"half"}  # another process may be at it
    assert ready(tmp_path / "s", 64).missing() == []
    assert ready(tmp_path / "s", 193).missing() == [3]


def test_two_processes_are_as_one(whole: SampleStore, loaded: LoadedRun, recipe: SampleRecipe, tmp_path: Path) -> None:
    found = ready(tmp_path / "s")
    for rank in (1, 0):
        draw(found, loaded, recipe, [k for k in found.missing() if k % 2 == rank])
    assert files(found) == files(whole)


def header(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[20] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        lambda p: p.write_bytes(b""),
        lambda p: p.write_bytes(p.read_bytes()[:-1]),
        lambda p: p.write_bytes(p.read_bytes()[:60]),
        lambda p: p.write_bytes(b"PK" + p.read_bytes()),
        header,
        lambda p: np.save(p, np.zeros((SHARD, 8, 8, 3), np.uint8)),
        lambda p: np.save(p, np.zeros((SHARD, 8, 8, 1))),
    ],
    ids=["empty", "cut", "cut in its header", "a zip", "another header", "another shape", "another type"],
)
def test_a_damaged_file_is_drawn_again(
    damage: Callable[[Path], Any], whole: SampleStore, loaded: LoadedRun, recipe: SampleRecipe, tmp_path: Path
) -> None:
    found = ready(tmp_path / "s")
    found.folder.mkdir()
    for name, content in files(whole).items():
        (found.folder / name).write_bytes(content)
    assert found.missing() == []
    damage(found.folder / "000001.npy")
    assert found.missing() == [1]
    with refuses("unreadable", "000001"):
        everything(found)
    assert draw(found, loaded, recipe) == [1]
    assert files(found) == files(whole)


def test_a_folder_that_cannot_be_written(loaded: LoadedRun, recipe: SampleRecipe, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("a file is in the way")
    with refuses("unwritable"):
        draw(ready(tmp_path / "s"), loaded, recipe, [0])


def test_a_full_disk(loaded: LoadedRun, recipe: SampleRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = ready(tmp_path / "s")
    drawing = found.draw(loaded, recipe, [0, 1], 64, lambda i, of: None)
    next(drawing)

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ddpm.system.files.write_synced", full)
    with refuses("unwritable"):
        next(drawing)
    assert list(files(found)) == ["000000.npy"]
    assert found.missing() == [1, 2]


def test_the_size_of_a_file_is_part_of_the_format() -> None:
    """Files of runs that were evaluated before would mean other samples."""
    assert SHARD == 64
