"""What is refused, what is the best, and what scores are called."""

import re
from pathlib import Path

import pytest

from ddpm.config.options import changed as with_options
from ddpm.config.sampling import SamplingConfig
from ddpm.evaluation.compare import COLUMNS, SETTINGS, columns_of, names_of, read, require_alike
from ddpm.records.score import Score
from ddpm.system.errors import InputError
from refusal import refuses

MEASURE = {
    "n": 1000,
    "features": {"name": "inception", "hash": "f00d", "resize": "bilinear to 299", "dim": 2048},
    "reference": {"source": "photos", "hash": "beef", "images": 5000},
    "size": [32, 32],
    "mode": "RGB",
}


def score(interval: tuple[float, float, float] = (1.0, 0.9, 1.1), **changed) -> Score:
    """A score whose metrics are all the same (value, low, high), with any part of it changed."""
    metric = dict(zip(("value", "low", "high"), interval, strict=True))
    tree = {
        "made_by": "ddpm",
        "measure": MEASURE,
        "samples": {
            "source": "run",
            "hash": "cafe",
            "seed": 0,
            "sampling": SamplingConfig.of(solver="ddim", eta=0.0).model_dump(),
        },
        "colour": {"mean": [0.0], "std": [1.0], "reference_mean": [0.0], "reference_std": [1.0]},
    } | dict.fromkeys(("frechet", "kid", "precision", "recall", "density", "coverage"), metric)
    return Score.model_validate(tree | changed)


def alter(one: Score, **changed) -> Score:
    """The score with fields of ``samples`` and of its sampling changed."""
    samples = one.samples.model_dump()
    samples |= {name: value for name, value in changed.items() if name in samples}
    options = {name: value for name, value in changed.items() if name not in samples}
    return score(samples=samples | {"sampling": with_options(one.samples.sampling, options).model_dump()})


def refusal(a: Score, b: Score, *across: str) -> str:
    with pytest.raises(InputError) as refused:
        require_alike({Path("a.json"): a, Path("b.json"): b}, across)
    return str(refused.value)


@pytest.mark.parametrize(
    ("field", "before", "after"),
    [
        ("n", "1000", 2000),
        ("features.name", "inception", "dino"),
        ("features.hash", "f00d", "other"),
        ("features.resize", "bilinear to 299", "none"),
        ("features.dim", "2048", 64),
        ("reference.hash", "beef", "other"),
        ("reference.images", "5000", 10),
        ("size", "(32, 32)", (64, 64)),
        ("mode", "RGB", "L"),
        ("neighbours", "(3, 5)", (5, 5)),
    ],
)
def test_scores_that_were_measured_in_different_ways(field, before, after):
    outer, _, inner = field.partition(".")
    measure = MEASURE | {outer: MEASURE[outer] | {inner: after} if inner else after}
    said = refusal(score(), score(measure=measure), *SETTINGS)
    assert said.startswith(f"{field} differs: {before} in a.json, {after} in b.json; ")
    assert refusal(score(measure=measure), score(), *SETTINGS).startswith(f"{field} differs: {after} in a.json")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 10),
        ("grid", "uniform"),
        ("eta", 1.0),
        ("guidance", 2.0),
        ("clip", False),
        ("threshold", 0.9),
        ("seed", 1),
    ],
)
def test_samples_that_were_drawn_in_different_ways(field, value):
    a, b = score(), alter(score(), **{field: value})
    assert f"{field} differs: " in refusal(a, b)
    assert f"--across {field}" in refusal(a, b)
    require_alike({Path("a"): a, Path("b"): b}, [field])
    other = "steps" if field != "steps" else "seed"
    assert refusal(a, b, other).startswith(f"{field} differs: ")


def test_a_solver_and_its_eta():
    a, b = score(), alter(score(), solver="ancestral")
    assert refusal(a, b).startswith("solver differs: ddim in a.json, ancestral in b.json")
    assert refusal(a, b, "solver").startswith("eta differs: 0.0 in a.json, None in b.json")
    require_alike({Path("a"): a, Path("b"): b}, ["solver", "eta"])


def test_any_two_of_several():
    a, b = score(), alter(score(), steps=10)
    with refuses("incompatible", "20", "10"):
        require_alike({Path("one"): a, Path("two"): a, Path("three"): b})


def test_what_is_compared_may_differ():
    """Weights, training, and where the same reference lies; and a folder's sampling is not known."""
    measure = MEASURE | {"reference": MEASURE["reference"] | {"source": "elsewhere/photos"}}
    trained = alter(score(), source="other", hash="other", weights="abc", images_seen=9, seconds=3.0)
    folder = score(measure=measure, samples={"source": "pictures", "hash": "fade"})
    require_alike({Path("a"): score(), Path("b"): trained, Path("c"): folder})


def test_a_setting_that_there_is_not():
    assert re.search(r"--across step .*'steps'", refusal(score(), score(), "step"))


def test_the_best_is_clear_of_all_others():
    frechet, *_, coverage = (column for column in COLUMNS if column.title in ("Fréchet", "coverage"))
    low, middle, high = ((1.0, 0.9, 1.1), (1.15, 1.05, 1.25), (2.0, 1.8, 2.2))
    of = [score(interval) for interval in (middle, low, high)]
    assert frechet.best(of) is None
    assert frechet.contested(of)
    assert coverage.best(of) == 2
    assert not coverage.contested(of)
    assert frechet.best(of[1:]) == 0
    assert frechet.best([of[0], of[0]]) is None


def test_metrics_that_some_scores_lack():
    accuracy = {"value": 0.9, "real": 0.95, "by_class": {"a": 0.9}}
    both = [score(), score(accuracy=accuracy)]
    assert [column.title for column in columns_of(both)][-2:] == ["coverage", "accuracy"]
    column = columns_of(both)[-1]
    assert column.best(both) is None
    assert not column.contested(both)
    assert column.best([score(accuracy=accuracy | {"value": 0.8}), both[1]]) == 1


@pytest.mark.parametrize(
    ("paths", "wanted"),
    [
        (("runs/a/score.json", "runs/b/score.json"), ["a", "b"]),
        (("runs/a/x/score.json", "runs/b/y/score.json"), ["a/x", "b/y"]),
        (("a.json", "b.json", "c.json"), ["a.json", "b.json", "c.json"]),
        (("runs/a/score.json", "runs/a/deep/score.json"), ["score.json", "deep/score.json"]),
        (("x/a/10/score.json", "x/a/50/score.json", "x/b/50/score.json"), ["a/10", "a/50", "b/50"]),
    ],
)
def test_names_say_where_paths_differ(paths, wanted):
    assert names_of([Path(path) for path in paths]) == wanted


def test_read(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "score.json").write_text(score().to_json(), encoding="utf-8")
    folder, file = tmp_path / "a", tmp_path / "b" / "score.json"
    assert read([folder, file]) == {folder / "score.json": score(), file: score()}
    with refuses("invalid"):
        read([folder])
    with refuses("invalid"):
        read([folder, folder / "score.json"])
