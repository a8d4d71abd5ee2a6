"""The numbers of a score are those of the metrics on the extractor's features."""

from collections.abc import Sequence
from hashlib import sha256

import numpy as np
import pytest
import torch

from ddpm.core import Stream
from ddpm.data.dataset import Dataset
from ddpm.evaluation import measure as module
from ddpm.evaluation.measure import NEIGHBOURS, REPLICATES, content_hash, copies, measure
from ddpm.evaluation.reference import Real
from ddpm.metrics import frechet, inception_score, kernel, manifold, memorisation
from ddpm.metrics.estimate import resamples
from ddpm.metrics.features import Extractor, extract
from ddpm.metrics.memorisation import Thumbnail
from ddpm.records.score import Memorisation, Samples, Score
from ddpm.system.progress import Progress, silent
from refusal import refuses


class Values:
    """Six of an image's values, as features."""

    name, hash, resize, dim = "values", "v" * 16, "none", 6

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)[:, :6].float() / 64


class Classes(Values):
    """The same, with classes."""

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        return features[:, :3]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDPM_CACHE", str(tmp_path_factory.mktemp("cache")))


def images(n: int, seed: int, labels: np.ndarray | None = None, classes: Sequence[str] = ()) -> Dataset:
    """Random pictures of 4 × 4; those of later classes are brighter."""
    values = np.random.default_rng(seed).integers(0, 60, (n, 4, 4, 3)).astype(np.uint8)
    if labels is not None:
        values += (90 * labels[:, None, None, None]).astype(np.uint8)
    names = tuple(f"{i}.png" for i in range(n))
    return Dataset(values, labels, tuple(classes), None, names, sha256(values.data).hexdigest())


def measured(
    made: Dataset,
    true: Dataset,
    labels: Sequence[str] | None = None,
    extractor: Extractor = Values(),  # noqa: B008
    progress: Progress = silent,
) -> Score:
    return measure(made, Samples(source="made", hash=""), labels, Real("real", true), extractor, progress)


def features(data: Dataset) -> torch.Tensor:
    return Values()(torch.from_numpy(data.images))


def some(n: int, many: int) -> torch.Tensor:
    """A fair part, as sets are often sorted by class."""
    return Stream(0, "some", n).permutation(n)[:many]


def test_agrees_with_the_metrics() -> None:
    made, true = images(70, 0), images(90, 1)
    ours, theirs, counts = features(made), features(true), resamples(70, REPLICATES)
    found = measured(made, true)
    assert (
        found.frechet.model_dump(exclude={"floor"}) == frechet.estimate(ours, frechet.fit(theirs), counts).model_dump()
    )
    assert found.frechet.floor is None  # 90 real images are not twice 70
    assert found.kid == kernel.estimate(ours, theirs, counts)
    shares = manifold.estimate(ours[some(70, 70)], theirs[some(90, 70)], counts, NEIGHBOURS)
    assert (found.precision, found.recall, found.density, found.coverage) == shares
    assert found.inception_score is None
    assert found.accuracy is None
    assert found.colour.mean == pytest.approx((made.images / 127.5 - 1).mean((0, 1, 2)), abs=1e-12)
    assert found.colour.reference_std == pytest.approx((true.images / 127.5 - 1).std((0, 1, 2)), abs=1e-12)


def test_the_floor_and_what_is_said_of_it() -> None:
    made, true = images(30, 0), images(60, 1)
    found = measured(made, true)
    assert found.frechet.floor == frechet.floor(features(true), 30)
    assert not any("too few" in note for note in found.notes)
    fewer = measured(made, true.subset(np.arange(59)))
    assert fewer.frechet.floor is None
    assert any("59 real images are too few" in note for note in fewer.notes)


def test_few_images_are_said_to_be_few(monkeypatch: pytest.MonkeyPatch) -> None:
    made, true = images(30, 0), images(60, 1)
    assert any("only 30 images" in note for note in measured(made, true).notes)
    monkeypatch.setattr(module, "FEW", 30)
    assert measured(made, true).notes == ()


def test_balls_are_among_as_many_of_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that recall means the same whatever the number of real images, and for a bound on time."""
    monkeypatch.setattr(module, "BALLS", 20)
    made, true = images(30, 0), images(60, 1)
    ours, theirs = features(made)[some(30, 20)], features(true)[some(60, 20)]
    found = measured(made, true)
    assert (found.precision, found.recall) == manifold.estimate(ours, theirs, resamples(20, REPLICATES))[:2]


def test_features_with_classes_have_an_inception_score(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Inception", Classes)
    made = images(30, 0)
    found = measured(made, images(60, 1), extractor=Classes())
    expected = inception_score.estimate(features(made)[:, :3], resamples(30, REPLICATES))
    assert found.inception_score == expected


def test_too_few_images() -> None:
    with refuses("invalid", "10"):
        measured(images(9, 0), images(60, 1))
    assert measured(images(10, 0), images(10, 1)).frechet.value > 0


def test_progress_has_an_end() -> None:
    seen: list[tuple[str, int, int]] = []
    measured(images(40, 0), images(60, 1), progress=lambda *said: seen.append(said))
    ends = {what: (done, total) for done, total, what in seen}
    assert ends == {
        "extracting features of the reference": (60, 60),
        "extracting features of the samples": (40, 40),
        "comparing": (4, 4),
    }


# accuracy

LABELS = np.arange(60) % 2


def read_as(labels: Sequence[str] | None, true: Dataset) -> tuple[object, tuple[str, ...]]:
    made = images(20, 5, np.arange(20) % 2)
    found = measured(made, true, labels)
    return found.accuracy, tuple(note for note in found.notes if "biased" not in note)


def test_samples_are_read_as_what_was_asked_for() -> None:
    true = images(60, 1, LABELS, ("dark", "bright"))
    accuracy, notes = read_as(["dark", "bright"] * 10, true)
    assert accuracy == module.Accuracy(value=1.0, real=1.0, by_class={"dark": 1.0, "bright": 1.0})
    assert notes == ()
    wrong, _ = read_as(["bright", "bright"] * 10, true)
    assert wrong == module.Accuracy(value=0.5, real=1.0, by_class={"bright": 0.5})


def test_classes_without_real_images() -> None:
    """Those that the reference never heard of, and those that it knows by name alone, are the same."""
    true = images(60, 1, LABELS, ("dark", "bright", "loud"))
    for name in ("loud", "new"):
        accuracy, notes = read_as(["dark", name] * 10, true)
        assert accuracy == module.Accuracy(value=1.0, real=1.0, by_class={"dark": 1.0})
        assert [f"no class {name}:" in note for note in notes] == [True]
        assert read_as([name] * 20, true)[0] is None


@pytest.mark.parametrize(
    ("labels", "true"),
    [
        (None, images(60, 1, LABELS, ("a", "b"))),
        (["a", "b"] * 10, images(60, 1)),
        (["a", "b"] * 10, images(60, 1, 0 * LABELS, ("a",))),
        (["a", "b"] * 10, images(60, 1, 0 * LABELS, ("a", "b"))),
    ],
    ids=["no labels", "no real labels", "one class", "one class with images"],
)
def test_no_accuracy_without_two_classes(labels: Sequence[str] | None, true: Dataset) -> None:
    assert read_as(labels, true)[0] is None


def test_no_accuracy_where_real_images_are_all_the_same() -> None:
    true = Dataset(np.full((60, 4, 4, 3), 9, np.uint8), LABELS, ("a", "b"), fingerprint="flat")
    accuracy, notes = read_as(["a", "b"] * 10, true)
    assert accuracy is None
    assert ["accuracy was not measured" in note for note in notes] == [True]


# copies


def searched(made: Dataset, seen: Dataset, held_out: Dataset | None = None) -> Memorisation:
    return copies(made, made.names, "photos", seen, held_out, silent)


def test_copies_are_those_of_the_thumbnails() -> None:
    seen, made = images(60, 1), images(25, 0)
    made.pixels[3], made.pixels[20] = seen.pixels[40], seen.pixels[7, :, ::-1]
    found = searched(made, seen.subset(np.arange(40)), seen.subset(np.arange(40, 60)))
    which, distance = memorisation.nearest(extract.extract(Thumbnail(), made), extract.extract(Thumbnail(), seen)[:40])
    assert (found.images, found.copies, found.rate.value) == (40, 1, 1 / 25)  # the 40th was not trained on
    assert found.threshold == memorisation.THRESHOLD
    assert found.median == float(distance.median())
    assert found.held_out is not None
    assert (found.held_out.value, len(found.closest)) == (0, 16)
    first = found.closest[0]
    assert (first.sample, first.training, first.places, first.copied) == ("20.png", "7.png", (20, 7), True)
    order = distance.argsort(stable=True)[:16].tolist()
    assert [pair.places for pair in found.closest] == [(i, int(which[i])) for i in order]
    assert [pair.distance for pair in found.closest] == [float(distance[i]) for i in order]


def test_all_copies_are_listed_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = images(60, 1)
    found = searched(seen, seen)
    assert (found.copies, len(found.closest), found.rate.value) == (60, 60, 1)
    assert (found.held_out, found.held_out_median) == (None, None)
    assert found.rate.low > 0.9
    monkeypatch.setattr(module, "LISTED", 30)
    assert len(searched(seen, seen).closest) == 30
    few = images(12, 0)
    assert len(searched(few, seen).closest) == 12


def test_training_images_without_names_are_numbered() -> None:
    seen = images(60, 1)
    nameless = Dataset(seen.pixels, fingerprint="nameless")
    assert searched(seen, nameless).closest[0].training == "0"


# the hash of samples


def test_the_hash_is_of_pixels_in_their_order_and_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    data = images(40, 0)
    usual = content_hash(data)
    assert len(usual) == 16
    monkeypatch.setattr(module, "CHUNK", 7)
    assert content_hash(data) == usual
    assert content_hash(images(40, 0, None)) == usual
    other = data.pixels.copy()
    other[39, 3, 3, 2] ^= 1
    for changed in (other, data.pixels[::-1], data.pixels[:39], data.pixels.reshape(40, 2, 8, 3)):
        assert content_hash(Dataset(np.ascontiguousarray(changed))) != usual
