"""From a run or a folder to a score: the same whoever draws, and it says all that it depends on."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from ddpm import build
from ddpm.engine.loading import load
from ddpm.engine.run import LoadedRun
from ddpm.evaluation import launch
from ddpm.evaluation.drawn import SHARD, SampleStore
from ddpm.evaluation.evaluate import evaluate, evaluate_folder, evaluate_run
from ddpm.evaluation.options import EvaluationOptions
from ddpm.evaluation.reference import training
from ddpm.metrics.memorisation import Thumbnail
from ddpm.records.score import Score
from ddpm.system.errors import InputError
from ddpm.system.progress import silent
from ddpm.tasks.generate import sample
from flags import BARE
from refusal import refuses

FEW = EvaluationOptions(n=100, device="cpu")


class Evaluated(NamedTuple):
    score: Score
    folder: Path


def of_run(path: Path, **changes: Any) -> Evaluated:
    own, further = split({"sampling": {"steps": 2}, "features": "thumbnail"} | changes)
    found = evaluate_run(path, replace(FEW, **own), silent, **further)
    assert found is not None
    return Evaluated(*found)


def split(changes: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Those of the options, and those of the function."""
    own = {name: value for name, value in changes.items() if hasattr(FEW, name)}
    return own, {name: value for name, value in changes.items() if name not in own}


def of_folder(source: Path, data: Path | None, **changes: Any) -> Score:
    own, further = split({"features": "thumbnail"} | changes)
    options = replace(FEW, data=None if data is None else str(data), **own)
    return evaluate_folder(str(source), options, silent, **further)[0]


@pytest.fixture(scope="module", autouse=True)
def _thumbnails() -> Iterator[None]:
    """Features that cost next to nothing, for all that does not depend on which they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(build.FEATURES, "thumbnail", lambda weights, device: Thumbnail())
        yield


@pytest.fixture(scope="module")
def evaluated(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Evaluated]:
    """A run with one score in it, for reading only."""
    run = shutil.copytree(digits_run, tmp_path_factory.mktemp("evaluated") / "run")
    return run, of_run(run)


@pytest.fixture
def run(evaluated: tuple[Path, Evaluated], tmp_path: Path) -> Path:
    """A copy of it that may change."""
    return shutil.copytree(evaluated[0], tmp_path / "run")


@pytest.fixture(scope="module")
def plain(cli: Callable[..., int], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that knows no classes, for reading only."""
    out = tmp_path_factory.mktemp("plain") / "run"
    assert cli("train", "digits", "--no-labels", "--images", "32", "--batch", "16", "--out", out, *BARE) == 0
    return out


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The numbers of the files that are drawn."""
    numbers: list[int] = []
    draw = SampleStore.draw

    def noted(self: SampleStore, loaded: LoadedRun, recipe: Any, wanted: list[int], *rest: Any) -> Iterator[int]:
        numbers.extend(wanted)
        return draw(self, loaded, recipe, wanted, *rest)

    monkeypatch.setattr(SampleStore, "draw", noted)
    return numbers


def digits(to: Path, each: int = 4, of: Sequence[int] = range(10), **more: Any) -> str:
    """Every fourth of the digits, or only those of some classes, as an .npz; its path."""
    images, labels = (array[::each] for array in load_digits(return_X_y=True))
    chosen = np.isin(labels, of)
    pixels = (images * (255 / 16)).round().astype(np.uint8).reshape(-1, 8, 8)[chosen]
    np.savez(to, **{"images": pixels, "labels": labels[chosen]} | more)
    return str(to)


def pixels_of(run: Path, n: int = 100) -> np.ndarray:
    [folder] = (run / "drawn").iterdir()
    return np.concatenate([np.load(path) for path in sorted(folder.iterdir())])[:n]


# of a run


def test_what_is_in_the_folder(evaluated: tuple[Path, Evaluated]) -> None:
    run, found = evaluated
    assert found.folder.parent == run / "evaluations"
    assert {path.name for path in found.folder.iterdir()} == {"score.json", "sheet.png", "closest.png"}
    assert Score.read(found.folder / "score.json") == found.score
    with Image.open(found.folder / "sheet.png") as sheet:
        assert sheet.size == (526, 526)
        assert np.array_equal(np.asarray(sheet)[:64:8, :64:8], pixels_of(run)[0, ..., 0])


def test_what_it_says_of_itself(evaluated: tuple[Path, Evaluated]) -> None:
    run, found = evaluated
    score = found.score
    assert (score.measure.n, score.measure.size, score.measure.mode) == (100, (8, 8), "L")
    assert (score.measure.reference.source, score.measure.reference.images) == ("digits", 1797)
    assert (score.measure.features.name, score.measure.features.dim) == ("thumbnail", Thumbnail().dim)
    assert (score.samples.source, score.samples.weights) == (str(run), load(run, "cpu").weights)
    assert (score.samples.seed, score.samples.labels) == (0, "reference")
    assert score.samples.sampling is not None
    assert (score.samples.sampling.steps, score.samples.sampling.solver.name) == (2, "unipc-2")
    assert any("only 100 images" in note for note in score.notes)
    for name, value in score.headline().items():
        assert value.low <= value.value <= value.high, name
    assert score.frechet.floor is not None
    assert score.frechet.value > score.frechet.floor  # the run was hardly trained
    assert score.inception_score is None


def test_training_until_then(evaluated: tuple[Path, Evaluated], run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the run, and of its checkpoint after 8 steps of 16 images, however that is named."""
    whole = evaluated[1].score.samples
    path = run / "checkpoints" / "step-000000008"
    part = of_run(path).score.samples
    assert (whole.images_seen, part.images_seen) == (192, 128)
    assert whole.seconds is not None
    assert part.seconds is not None
    assert 0 < part.seconds < whole.seconds < 60
    assert part.weights == load(path, "cpu").weights != whole.weights
    assert part.source == str(path)
    monkeypatch.chdir(path)
    here = of_run(Path())
    assert here.score.samples == part.model_copy(update={"source": "."})
    assert (run / "evaluations").samefile(here.folder.parent)
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    assert of_run(run).score.samples.images_seen is None


def test_colours_are_those_of_all_pixels(evaluated: tuple[Path, Evaluated]) -> None:
    run, found = evaluated
    x = pixels_of(run) / 127.5 - 1
    assert found.score.colour.mean == pytest.approx([x.mean()], abs=1e-12)
    assert found.score.colour.std == pytest.approx([x.std()], abs=1e-12)
    real = (load_digits().images * (255 / 16)).round() / 127.5 - 1
    assert found.score.colour.reference_mean == pytest.approx([real.mean()], abs=1e-12)
    assert found.score.colour.reference_std == pytest.approx([real.std()], abs=1e-12)


def test_samples_have_the_references_classes(evaluated: tuple[Path, Evaluated]) -> None:
    accuracy = evaluated[1].score.accuracy
    assert accuracy is not None
    assert set(accuracy.by_class) == set("0123456789")
    assert accuracy.real > 0.9


def test_again_draws_nothing_and_finds_the_same(
    evaluated: tuple[Path, Evaluated], run: Path, drawn: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    monkeypatch.chdir(run.parent)
    again = of_run(Path("run"))
    assert drawn == []
    same = {"source": evaluated[1].score.samples.source}
    score = again.score.model_copy(update={"samples": again.score.samples.model_copy(update=same)})
    assert score == evaluated[1].score
    changed = {p for p in run.rglob("*") if p.is_file() and first.get(p) != p.read_bytes()}
    assert {p.name for p in changed} == {"score.json"}


@pytest.mark.parametrize("batch", [7, 40])
def test_the_batch_changes_nothing(batch: int, evaluated: tuple[Path, Evaluated], run: Path) -> None:
    shutil.rmtree(run / "drawn")
    found = of_run(run, batch=batch)
    assert np.array_equal(pixels_of(run), pixels_of(evaluated[0]))
    assert found.score.samples.hash == evaluated[1].score.samples.hash
    assert found.score.frechet == evaluated[1].score.frechet


def test_more_samples_and_other_features_draw_only_what_is_missing(run: Path, drawn: list[int]) -> None:
    more = of_run(run, n=130, features="embedded")
    assert drawn == [2]
    assert (more.score.measure.n, more.score.measure.features.name) == (130, "embedded")
    drawn.clear()
    fewer = of_run(run, n=64, features="embedded")
    assert drawn == []
    assert fewer.score.measure.n == 64
    assert len(list((run / "evaluations").glob("*/score.json"))) == 3
    whole = pixels_of(run, 192)
    assert np.array_equal(whole[:100], pixels_of(run))


def test_after_a_kill_it_goes_on(evaluated: tuple[Path, Evaluated], run: Path, drawn: list[int]) -> None:
    """A file less, a damaged file, half a file and no score."""
    for path in (run / "evaluations").glob("*/score.json"):
        path.unlink()
    [folder] = (run / "drawn").iterdir()
    (folder / "000000.npy").unlink()
    (folder / "000001.npy").write_bytes(b"\0")
    (folder / ".000000.npy.part").write_bytes(b"half")
    found = of_run(run)
    assert drawn == [0, 1]
    assert found.score.samples.hash == evaluated[1].score.samples.hash
    assert found.score.frechet == evaluated[1].score.frechet


class Process:
    """One of two, that meet nobody."""

    num_processes, device = 2, "cpu"

    def __init__(self, index: int) -> None:
        self.process_index, self.is_main_process = index, index == 0

    def main_process_first(self) -> Any:
        return nullcontext()

    def wait_for_everyone(self) -> None:
        pass


def test_two_processes_draw_a_part_each_and_the_first_measures(
    evaluated: tuple[Path, Evaluated], run: Path, drawn: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(run / "evaluations")
    shutil.rmtree(run / "drawn")
    monkeypatch.setattr(launch, "PartialState", lambda **how: Process(1))
    assert evaluate_run(run, FEW, silent, {"steps": 2}) is None
    assert drawn == [1]
    assert not (run / "evaluations").exists()
    monkeypatch.setattr(launch, "PartialState", lambda **how: Process(0))
    found = of_run(run)
    assert drawn == [1, 0]
    assert found.score.samples.hash == evaluated[1].score.samples.hash
    assert found.score.frechet == evaluated[1].score.frechet


def test_planted_copies_are_found_by_name(run: Path) -> None:
    """Of a file of samples, 40 are made training images, 5 of them mirrored; so 40 of 100 are copies."""
    config = load(run, "cpu").config
    seen = training(config)[0]
    [folder] = (run / "drawn").iterdir()
    shard = np.load(folder / "000000.npy")
    places = np.arange(0, 1600, 40)
    shard[10:50] = seen.read(places)
    shard[10:15] = shard[10:15, :, ::-1]
    np.save(folder / "000000.npy", shard)
    found = of_run(run).score
    assert found.memorisation is not None
    assert found.copy_rate == found.memorisation.rate.value == pytest.approx(0.4)
    assert (found.memorisation.copies, found.memorisation.images) == (40, 1708)
    assert found.memorisation.held_out is not None
    assert found.memorisation.held_out.value < 0.05
    copied = [pair for pair in found.memorisation.closest if pair.copied]
    assert sorted(pair.places for pair in copied) == sorted(zip(range(10, 50), places.tolist(), strict=True))
    assert {pair.training for pair in copied} == {seen.names[i] for i in places}
    assert {pair.sample for pair in copied} == {f"seed 0, image {i}" for i in range(10, 50)}


# real images of other classes


def test_a_class_without_real_images_is_not_drawn(run: Path, tmp_path: Path, drawn: list[int]) -> None:
    found = of_run(run, data=digits(tmp_path / "some.npz", of=(1, 4, 7))).score
    assert drawn == [0, 1]  # other labels are other samples
    assert "the reference has no 0, 2, 3, 5, 6, 8, 9: no samples of these classes were drawn" in found.notes
    assert found.accuracy is not None
    assert set(found.accuracy.by_class) == {"1", "4", "7"}
    assert found.samples.labels == "reference"


def test_classes_that_the_run_does_not_know(run: Path, tmp_path: Path) -> None:
    names = np.array([*"01234", *"vwxyz"])
    found = of_run(run, data=digits(tmp_path / "some.npz", classes=names)).score
    assert any(note.endswith("classes that the run lacks: v, w, x, y, z") for note in found.notes)
    assert found.accuracy is not None
    assert set(found.accuracy.by_class) == set("01234")


def test_none_of_the_classes(run: Path, tmp_path: Path) -> None:
    found = of_run(run, data=digits(tmp_path / "some.npz", classes=np.array([*"qrstuvwxyz"]))).score
    assert any("has none of the run's classes" in note for note in found.notes)
    assert found.accuracy is None
    assert any(note.startswith("the reference has no class 0, 1") for note in found.notes)


def test_no_classes(run: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "some.npz", images=np.load(digits(tmp_path / "all.npz"))["images"])
    found = of_run(run, data=str(tmp_path / "some.npz")).score
    assert any("the reference has no classes" in note for note in found.notes)
    assert found.accuracy is None


def test_a_run_without_classes(plain: Path, tmp_path: Path) -> None:
    run = shutil.copytree(plain, tmp_path / "run")
    found = of_run(run).score
    assert (found.samples.labels, found.accuracy) == (None, None)
    images = sample(load(run, "cpu"), 2, steps=2)
    assert np.array_equal(pixels_of(run)[:2, ..., 0], np.stack([np.asarray(image) for image in images]))
    with refuses("conflict", "guidance 2.0"):
        of_run(run, sampling={"steps": 2, "guidance": 2.0})


# training images that are gone


def with_data(run: Path, **change: Any) -> None:
    config = json.loads((run / "config.json").read_text())
    config["data"] |= change
    (run / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"source": "gone/photos"}, r"\(gone/photos does not exist .*\)"),
        ({"fingerprint": "other"}, r"\(the images of digits .*\)"),
    ],
)
def test_training_images_that_cannot_be_had(change: dict[str, Any], said: str, run: Path, tmp_path: Path) -> None:
    with_data(run, **change)
    with pytest.raises(InputError, match=rf"{said}.* --data"):
        of_run(run)
    found = of_run(run, data=digits(tmp_path / "all.npz"))
    assert (found.score.memorisation, found.score.copy_rate) == (None, None)
    assert not (found.folder / "closest.png").exists()
    assert any("no search for copies: the training images" in note for note in found.score.notes)


# what is refused, before anything is drawn


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n": 9}, "-n 9"),
        ({"n": -1}, "-n -1"),
        ({"batch": 0}, r"batch must be between 1 and 64, .*, not 0"),
        ({"batch": 65}, r"batch must be between 1 and 64, .*, not 65"),
        ({"features": "embeded"}, r"unknown features 'embeded' \(did you mean 'embedded'\?\)"),
        ({"features": "embedded", "weights": "x.pth"}, r"--features embedded .*drop --weights"),
        ({"sampling": {"steps": 1001}}, r"steps must be between 1 and 1000"),
        ({"sampling": {"steps": 0}}, r"steps must be at least 1"),
        ({"sampling": {"solver": "dim"}}, r"solver 'dim' is unknown .* sde"),
        ({"data": "nothing"}, r"nothing does not exist"),
        ({"device": "toaster"}, r"device toaster"),
    ],
)
def test_what_is_refused(change: dict[str, Any], said: str, digits_run: Path, drawn: list[int]) -> None:
    before = sorted(digits_run.rglob("*"))
    with pytest.raises(InputError, match=said) as caught:
        of_run(digits_run, **change)
    assert "\n" not in str(caught.value)
    assert drawn == []
    assert sorted(digits_run.rglob("*")) == before


def test_too_few_real_images(run: Path, folder: Callable[..., Path]) -> None:
    with refuses("invalid", "10"):
        of_run(run, data=str(folder(9)))
    assert of_run(run, data=str(folder(10))).score.frechet.floor is None


def test_a_score_that_cannot_be_written(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line; the samples stay."""

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("ddpm.system.files.write_synced", full)
        with refuses("unwritable"):
            of_run(run)
    assert len(pixels_of(run, 1000)) == 2 * SHARD
    assert not list(run.rglob("*.part"))


# a score carries how it was made


@pytest.mark.parametrize(
    ("change", "measured", "sampled"),
    [
        ({"seed": 1}, set(), {"hash", "seed"}),
        ({"n": 101}, {"n"}, {"hash"}),
        ({"features": "embedded"}, {"features"}, set()),
        ({"sampling": {"steps": 3}}, set(), {"hash", "sampling"}),
        ({"sampling": {"steps": 2, "solver": "ancestral"}}, set(), {"hash", "sampling"}),
        ({"data": "again"}, {"reference"}, set()),
        ({"data": "fewer"}, {"reference"}, {"hash"}),
        ({"batch": 3, "device": None}, set(), set()),
    ],
    ids=["seed", "n", "features", "steps", "solver", "source", "images", "batch"],
)
def test_what_changes_a_score_is_in_it(
    change: dict[str, Any],
    measured: set[str],
    sampled: set[str],
    evaluated: tuple[Path, Evaluated],
    run: Path,
    tmp_path: Path,
) -> None:
    data = {
        "again": lambda: digits(tmp_path / "again.npz", each=1),
        "fewer": lambda: digits(tmp_path / "fewer.npz"),
    }
    given = {key: data.get(str(value), lambda v=value: v)() for key, value in change.items()}
    found, before = of_run(run, **given), evaluated[1].score
    assert {k for k, v in found.score.measure if v != getattr(before.measure, k)} == measured
    assert {k for k, v in found.score.samples if v != getattr(before.samples, k)} - {"source"} == sampled
    assert (found.folder.name == evaluated[1].folder.name) == (not measured | sampled)


def test_the_same_images_elsewhere_have_the_same_hash(
    evaluated: tuple[Path, Evaluated], run: Path, tmp_path: Path
) -> None:
    again = of_run(run, data=digits(tmp_path / "again.npz", each=1)).score
    assert again.measure.reference.hash == evaluated[1].score.measure.reference.hash
    assert again.measure.reference.source != evaluated[1].score.measure.reference.source
    assert again.frechet == evaluated[1].score.frechet


# of a folder


def pictures(to: Path, n: int = 32, size: tuple[int, int] = (16, 12), channels: int = 3, seed: int = 0) -> Path:
    """Smooth random pictures as an .npz."""
    coarse = np.random.default_rng(seed).integers(0, 256, (n, 4, 4, 4), np.uint8)
    made = [np.asarray(Image.fromarray(c, "RGBA").resize(size[::-1], Image.Resampling.BICUBIC)) for c in coarse]
    np.savez(to, images=np.stack(made)[..., :channels])
    return to


def files(to: Path, images: np.ndarray, name: str = "{i:03d}.png") -> Path:
    for i, image in enumerate(images):
        path = to / name.format(i=i, c=i % 2)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return to


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_equal_images(channels: int, tmp_path: Path) -> None:
    a, b = (pictures(tmp_path / name, channels=channels) for name in ("a.npz", "b.npz"))
    found = of_folder(a, b, features="embedded")
    assert found.frechet.value < 1e-9
    assert found.copy_rate == 1
    assert found.precision.value == found.recall.value == found.coverage.value == 1
    assert found.colour.mean == found.colour.reference_mean
    assert found.measure.mode == {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    assert found.measure.size == (16, 12)
    assert (found.samples.source, found.measure.reference.source) == (str(a), str(b))
    assert found.samples.model_dump(exclude={"source", "hash"}) == dict.fromkeys(
        ("weights", "images_seen", "seconds", "seed", "labels", "prompts", "sampling")
    )


def test_names_of_copies_are_those_of_files(tmp_path: Path) -> None:
    images = np.load(pictures(tmp_path / "a.npz", 40))["images"]
    made = np.load(pictures(tmp_path / "b.npz", 20, seed=1))["images"]
    made[7] = images[31, :, ::-1]
    found = of_folder(files(tmp_path / "made", made), files(tmp_path / "real", images, "x/{i}.png")).memorisation
    assert found is not None
    assert (found.copies, found.images, found.rate.value) == (1, 40, 1 / 20)
    assert (found.closest[0].sample, found.closest[0].training) == ("007.png", "x/31.png")
    assert len(found.closest) == 16
    assert [pair.distance for pair in found.closest] == sorted(pair.distance for pair in found.closest)
    assert found.held_out is None


def test_other_training_images_than_the_real_ones(tmp_path: Path) -> None:
    """Copies are looked for among them; and the real ones say how often that is chance."""
    a, b = pictures(tmp_path / "a.npz", 40), pictures(tmp_path / "b.npz", 30, seed=1)
    found = of_folder(a, b, training=str(a)).memorisation
    assert found is not None
    assert (found.copies, found.images, found.source) == (40, 40, str(a))
    assert found.held_out is not None
    assert found.held_out.value == 0
    assert found.held_out_median is not None
    same = of_folder(a, b, training=str(shutil.copy(b, tmp_path / "c.npz"))).memorisation
    assert same is not None
    assert (same.copies, same.held_out) == (0, None)  # images that were trained on are no false alarms


def test_real_images_that_are_all_the_same(tmp_path: Path) -> None:
    """No number can be trusted, but none is worth a traceback."""
    np.savez(tmp_path / "flat.npz", images=np.full((20, 16, 12, 3), 9, np.uint8), labels=np.arange(20) % 2)
    found = of_folder(pictures(tmp_path / "a.npz"), tmp_path / "flat.npz")
    assert found.memorisation is None
    assert any("copies" in note for note in found.notes)


def test_real_images_are_brought_to_the_size_and_mode_of_the_samples(tmp_path: Path) -> None:
    real = pictures(tmp_path / "real.npz", 40, (32, 32), 4)
    found = of_folder(pictures(tmp_path / "made.npz", channels=1), real)
    assert (found.measure.size, found.measure.mode) == ((16, 12), "L")
    assert len(found.colour.reference_mean) == 1
    assert any(f"40 images of {real}" in note and "16 × 12" in note for note in found.notes)
    assert f"40 images of {real} were converted to L" in found.notes
    stretched = of_folder(tmp_path / "made.npz", real, fit="stretch")
    assert stretched.measure.reference.hash != found.measure.reference.hash


def test_samples_of_several_sizes_or_modes(tmp_path: Path) -> None:
    images = list(np.load(pictures(tmp_path / "a.npz"))["images"])
    real = pictures(tmp_path / "real.npz")
    sizes = files(tmp_path / "sizes", [*images, images[0][:8]])
    modes = files(tmp_path / "modes", [*images, images[0][..., 0]])
    with refuses("invalid", "--size"):
        of_folder(sizes, real)
    with refuses("invalid", "--mode"):
        of_folder(modes, real)
    found = of_folder(sizes, real, size=(10, 10))
    assert (found.measure.size, found.measure.n) == ((10, 10), 33)
    assert of_folder(modes, real, mode="L").measure.mode == "L"


def test_samples_in_folders_of_classes(tmp_path: Path) -> None:
    """Dark ones and bright ones; a fifth of the samples is in the wrong folder."""
    rng = np.random.default_rng(0)
    level = np.arange(60) % 2 * 150
    real = (rng.integers(0, 80, (60, 8, 8, 3)) + level[:, None, None, None]).astype(np.uint8)
    made = (rng.integers(0, 80, (60, 8, 8, 3)) + level[:, None, None, None]).astype(np.uint8)
    made[:12] = made[:12][::-1]
    known = files(tmp_path / "real", real, "{c}/{i}.png")
    found = of_folder(files(tmp_path / "made", made, "{c}/{i}.png"), known, features="embedded")
    assert found.accuracy is not None
    assert found.accuracy.real == 1
    assert found.accuracy.value == pytest.approx(0.8)
    assert found.accuracy.by_class == pytest.approx({"0": 0.8, "1": 0.8})
    other = of_folder(tmp_path / "made", files(tmp_path / "other", real, "{c}x/{i}.png"))
    assert other.accuracy is None
    assert any("the reference has no class 0, 1" in note for note in other.notes)


def test_what_of_a_folder_is_refused(tmp_path: Path, folder: Callable[..., Path]) -> None:
    a = pictures(tmp_path / "a.npz")
    empty = tmp_path / "empty"
    empty.mkdir()
    for source, data, changes, said in (
        (a, None, {}, r"a\.npz .* --data"),
        (tmp_path / "b.npz", None, {}, r"b\.npz does not exist \(did you mean .*a\.npz\?\)"),
        (a, tmp_path / "b", {}, "b does not exist"),
        (empty, a, {}, r"empty holds no images \(it is empty\)"),
        (folder(3), a, {}, "3 generated images .* 10"),
        (a, folder(3), {}, "at least 10"),
        (a, a, {"features": "inceptoin"}, r"unknown features 'inceptoin' \(did you mean 'inception'\?\)"),
        (a, a, {"training": str(empty)}, "empty holds no images"),
    ):
        with pytest.raises(InputError, match=said) as caught:
            of_folder(source, data, **changes)
        assert "\n" not in str(caught.value)


def test_images_that_cannot_be_read(tmp_path: Path) -> None:
    real = pictures(tmp_path / "real.npz")
    made = files(tmp_path / "made", np.load(real)["images"])
    (made / "bad.png").write_text("text")
    with refuses("unreadable", "--skip-bad"):
        of_folder(made, real)
    assert of_folder(made, real, skip_bad=True).measure.n == 32


# from Python


def test_from_python(run: Path, evaluated: tuple[Path, Evaluated], tmp_path: Path) -> None:
    how = {"n": 100, "sampling": {"steps": 2}, "device": "cpu"}
    assert evaluate(run, **how, features="thumbnail").frechet == evaluated[1].score.frechet
    found = evaluate(run, **how)
    assert (found.measure.features.name, found.measure.features.dim) == ("embedded", 416)
    assert found.accuracy is not None
    assert found.accuracy.real > 0.9
    a = pictures(tmp_path / "a.npz")
    assert evaluate(str(a), str(a), device="cpu").copy_rate == 1
