"""The search on a small run: the same whatever the batch, resumed where it was killed, and then the default."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ddpm import build
from ddpm.config.guidance import GuidanceConfig
from ddpm.config.guidance_search import GuidanceSearchSettings
from ddpm.engine.loading import load
from ddpm.engine.options import settings
from ddpm.engine.run import LoadedRun
from ddpm.evaluation import guidance as searching
from ddpm.evaluation.evaluate import evaluate
from ddpm.evaluation.guidance import AskGuidance, after_training, tune_guidance
from ddpm.metrics.memorisation import Thumbnail
from ddpm.records.average import average
from ddpm.records.guidance import Average, GuidanceRecord
from ddpm.records.run_folder import RunFolder, weights_hash
from ddpm.system.progress import silent
from ddpm.tasks.generate import sample
from flags import TINY
from refusal import refuses

ASK = AskGuidance(20, sampling={"steps": 2}, lengths=(0.05, 0.15))


def cheap(patch: pytest.MonkeyPatch) -> None:
    """Features that cost nothing, recall among few real images, and rough intervals."""
    patch.setattr(build, "build_features", lambda *args: Thumbnail())
    patch.setattr(searching, "BALLS", 200)
    patch.setattr(searching, "REPLICATES", 20)


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap(monkeypatch)


@pytest.fixture
def run(digits_run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(digits_run, tmp_path / "run")


@pytest.fixture(scope="module")
def record(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> GuidanceRecord:
    run = shutil.copytree(digits_run, tmp_path_factory.mktemp("searched") / "run")
    with pytest.MonkeyPatch.context() as patch:
        cheap(patch)
        return tune_guidance(load(run, "cpu"), ASK, silent)


def timeless(record: GuidanceRecord) -> GuidanceRecord:
    parts = {
        name: tuple(t.model_copy(update={"seconds": 0.0}) for t in getattr(record, name))
        for name in ("trials", "lengths")
    }
    return record.model_copy(update=parts)


def with_choice(record: GuidanceRecord, **chosen: Any) -> GuidanceRecord:
    return record.model_copy(update={"chosen": GuidanceConfig(**chosen), "average": None})


def test_the_run_keeps_its_own_guidance_first(record: GuidanceRecord, loaded: LoadedRun) -> None:
    assert record.trials[0].guidance == loaded.config.sampling.guidance
    assert (record.trials[0].change.low, record.trials[0].change.high) == (0, 0)
    assert record.weights == loaded.weights
    assert record.n == 20
    assert record.sampling == settings(loaded, {"steps": 2})
    assert record.chosen == record.best.guidance
    assert record.reference.images == 1797


def test_a_trial_is_what_an_evaluation_of_its_seed_finds(record: GuidanceRecord, run: Path) -> None:
    trial = next(t for t in record.trials[1:] if t.guidance is None or t.guidance.interval is None)
    scale = 1.0 if trial.guidance is None else trial.guidance.scale
    score = evaluate(run, n=record.n, seed=record.seed, sampling={"steps": 2, "guidance": scale})
    assert score.frechet.value == pytest.approx(trial.frechet.value, rel=1e-6)
    assert record.seed != 0, "evaluations by default measure other samples"


def test_batches_and_an_earlier_search_change_nothing(record: GuidanceRecord, run: Path) -> None:
    loaded = replace(load(run, "cpu"), guided=with_choice(record, scale=7.0))
    assert timeless(tune_guidance(loaded, replace(ASK, batch=40), silent)) == timeless(record)


def test_a_killed_search_goes_on(record: GuidanceRecord, run: Path) -> None:
    """The samples of finished trials are not drawn again."""
    loaded = load(run, "cpu")
    calls = [0]

    def killed(done: int, total: int, what: str = "", /) -> None:
        calls[0] += what.startswith("guidance")
        if calls[0] == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune_guidance(loaded, ASK, killed)
    kept = {path: path.stat().st_mtime_ns for path in RunFolder(run).drawn.rglob("*.npy")}
    assert kept
    assert timeless(tune_guidance(loaded, ASK, silent)) == timeless(record)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_it_is_the_default_of_these_weights_alone(record: GuidanceRecord, run: Path) -> None:
    plain, found = load(run, "cpu"), with_choice(record, scale=3.4, interval=(0.0, 5.0))
    found.write(RunFolder(run).guidance_file)
    guided = load(run, "cpu")
    assert guided.guided == found
    assert settings(guided, {}) == settings(plain, {"guidance": 3.4, "guidance_interval": (0.0, 5.0)})
    assert settings(guided, {"steps": 3, "solver": "ddim"}).guidance == found.chosen
    for given in ({"guidance": 2.0}, {"guidance": 1}, {"guidance_interval": (0.2, 5.0)}, {"negative": "3"}):
        assert settings(guided, given) == settings(plain, given)
    checkpoint = sorted(RunFolder(run).checkpoints.iterdir())[0]
    assert load(checkpoint, "cpu").guided is None
    found.model_copy(update={"weights": "others"}).write(RunFolder(run).guidance_file)
    assert load(run, "cpu").guided is None
    assert settings(load(run, "cpu"), {}) == settings(plain, {})


@pytest.fixture(scope="module")
def unlabelled(cli: Callable[..., int], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of 12 steps on the digits without their classes, which keeps one checkpoint."""
    out = tmp_path_factory.mktemp("unlabelled") / "run"
    flags = ("--images", "192", "--batch", "16", "--precision", "fp32", "--no-labels", "--set", "training.keep=1")
    assert cli("train", "digits", "--out", out, *flags, *TINY) == 0
    return out


def test_a_run_without_labels(unlabelled: Path, tmp_path: Path) -> None:
    """It is guided away from the average after an eighth of its 12 steps, which needs its folder alone."""
    found = tune_guidance(load(unlabelled, "cpu"), ASK, silent)
    assert found.trials[0].guidance is None
    assert {t.guidance.guide.checkpoint for t in found.trials[1:] if t.guidance} == {"averages/step-000000001"}
    guide = found.trials[1].guidance.guide
    found = with_choice(found, scale=3.0, away_from=guide)
    moved = shutil.copytree(unlabelled, tmp_path / "moved")
    found.write(RunFolder(moved).guidance_file)
    by_default, plain = load(moved, "cpu"), load(unlabelled, "cpu")
    assert by_default.guided == found
    guided = sample(by_default, 1, steps=2)[0]
    assert guided.tobytes() == sample(plain, 1, steps=2, guidance=3.0, guide_with="early")[0].tobytes()
    assert guided.tobytes() != sample(plain, 1, steps=2)[0].tobytes()


def test_nothing_to_guide_away_from(run: Path) -> None:
    """Neither a label nor an early version: every label was given, and training saved no averages."""
    shutil.rmtree(RunFolder(run).averages)
    loaded = load(run, "cpu")
    never = replace(loaded.config.training, label_dropout=0.0)
    with refuses("incompatible", str(run), "--set training.averages=16"):
        tune_guidance(replace(loaded, config=loaded.config.model_copy(update={"training": never})), ASK, silent)


def test_away_from_the_early_average(record: GuidanceRecord) -> None:
    away = [t.guidance for t in record.trials if t.guidance is not None and t.guidance.guide is not None]
    assert {g.guide.checkpoint for g in away} == {"averages/step-000000001"}
    assert len(away) >= 2


def test_averages_are_compared_at_the_chosen_guidance(record: GuidanceRecord, run: Path) -> None:
    """With the same noise and labels: a trial is what an evaluation of the average's folder finds."""
    assert [t.length for t in record.lengths] == [None, 0.05, 0.15]
    assert {t.guidance for t in record.lengths} == {record.chosen}
    own, _, longer = record.lengths
    assert own.frechet == record.best.frechet
    assert (own.change.low, own.change.high) == (0, 0)
    assert longer.change.value == pytest.approx(longer.frechet.value - own.frechet.value)
    written = average(RunFolder(run), 0.15)
    scale = 1.0 if record.chosen is None else record.chosen.scale
    how = {"steps": 2, "guidance": scale}
    if record.chosen is not None and record.chosen.guide is not None:
        how |= {"guide_with": record.chosen.guide.checkpoint}
    score = evaluate(written, n=record.n, seed=record.seed, sampling=how)
    assert score.frechet.value == pytest.approx(longer.frechet.value, rel=1e-6)


@pytest.fixture
def averaged(record: GuidanceRecord, run: Path) -> GuidanceRecord:
    """The run's search, as if an average of length 0.15 had been better."""
    folder = RunFolder(run)
    weights = weights_hash(RunFolder(run, average(folder, 0.15)).weights())
    found = with_choice(record, scale=3.4).model_copy(update={"average": Average(length=0.15, weights=weights)})
    found.write(folder.guidance_file)
    return found


def test_a_better_average_is_what_the_run_samples_with(averaged: GuidanceRecord, run: Path, tmp_path: Path) -> None:
    """Wherever the folder is; the run's own weights stay as they are, and are used again without the search."""
    moved = run.rename(tmp_path / "moved")
    by_default, by_name = load(moved, "cpu"), load(moved / "averages" / "length-0.15", "cpu")
    assert (by_default.weights, by_default.guided) == (averaged.average.weights, averaged)
    assert (by_name.weights, by_name.guided) == (averaged.average.weights, averaged)
    image = sample(by_default, 1, label=3, steps=2)[0]
    assert image.tobytes() == sample(by_name, 1, label=3, steps=2)[0].tobytes()
    own = load(moved, "cpu", own=True)
    assert (own.weights, own.guided) == (averaged.weights, averaged)
    RunFolder(moved).guidance_file.unlink()
    assert load(moved, "cpu").weights == averaged.weights


def test_pictures_of_either_weights_are_reproduced(
    averaged: GuidanceRecord, run: Path, cli: Callable[..., int]
) -> None:
    kept = RunFolder(run).guidance_file.rename(run / "kept.json")
    for name in ("before", "after"):
        flags = ("-n", "1", "--steps", "2", "--out", run / name)
        assert cli("sample", run, "--label", "3", "--guidance", "2", *flags) == 0
        kept.rename(RunFolder(run).guidance_file) if name == "before" else None
    pictures = [run / name / "00000.png" for name in ("before", "after")]
    assert pictures[0].read_bytes() != pictures[1].read_bytes()
    for picture in pictures:
        assert cli("sample", "--from", picture) == 0
        assert picture.with_name("00000-again.png").read_bytes() == picture.read_bytes()


def test_an_average_is_known_by_its_weights(averaged: GuidanceRecord, run: Path) -> None:
    """Others are refused, and a search of other weights than the run's is ignored with its average."""
    folder = run / "averages" / "length-0.15"
    kept = folder.rename(run / "kept")
    with refuses("missing", str(folder), "ddpm average"):
        load(run, "cpu")
    average(RunFolder(run), 0.04).rename(folder)
    with refuses("incompatible", str(folder), "ddpm average"):
        load(run, "cpu")
    averaged.model_copy(update={"weights": "others"}).write(RunFolder(run).guidance_file)
    assert load(run, "cpu").weights == averaged.weights
    shutil.rmtree(folder)
    kept.rename(folder)


def test_a_search_starts_from_the_runs_own_weights(
    averaged: GuidanceRecord, record: GuidanceRecord, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And writes the average that is better."""
    monkeypatch.setattr(searching, "best", lambda trials: trials[-1])
    found = tune_guidance(load(run, "cpu"), ASK, silent)
    assert timeless(found).trials == timeless(record).trials
    weights = RunFolder(run, run / "averages" / "length-0.15").weights()
    assert found.average == Average(length=0.15, weights=weights_hash(weights))


@pytest.mark.parametrize(
    ("change", "code", "named"),
    [
        ({"n": 9}, "invalid", "-n 9"),
        ({"sampling": {"steps": 0}}, "invalid", "steps"),
        ({"data": "nowhere"}, "missing", "nowhere"),
        ({"lengths": (0.5,)}, "invalid", "0.5"),
    ],
)
def test_refusals(change: dict[str, Any], code: Any, named: str, loaded: LoadedRun) -> None:
    with refuses(code, named):
        tune_guidance(loaded, replace(ASK, **change), silent)


def test_super_resolution_has_none(enlarging_run: Path) -> None:
    with refuses("incompatible", "ddpm upscale"):
        tune_guidance(load(enlarging_run, "cpu"), ASK, silent)


def test_after_training(run: Path) -> None:
    """As the config says, once for these weights, by the fast solver."""
    device, files = torch.device("cpu"), RunFolder(run)
    assert after_training(run, device, silent) is None
    planned = {"guidance_search": GuidanceSearchSettings(12, 2, lengths=(0.1,))}
    files.config().model_copy(update=planned).write(files.config_file)
    found = after_training(run, device, silent)
    assert found is not None
    assert (found.n, found.sampling.steps, found.sampling.solver.name) == (12, 2, "unipc-2")
    assert [trial.length for trial in found.lengths] == [None, 0.1]
    found.write(files.guidance_file)
    assert after_training(run, device, silent) is None
