"""Bits per dimension of a run on disk."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from ddpm.data.order import epoch_order
from ddpm.engine.loading import load
from ddpm.evaluation import likelihood
from ddpm.evaluation.likelihood import measure_likelihood
from ddpm.evaluation.options import EvaluationOptions
from ddpm.evaluation.reference import training
from ddpm.records.likelihood import BitsRecord
from ddpm.system.errors import InputError
from ddpm.system.progress import Progress, silent
from ddpm.tasks.likelihood import bits_per_dim
from refusal import refuses

FEW = EvaluationOptions(n=60, device="cpu")


@pytest.fixture
def run(digits_run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(digits_run, tmp_path / "run")


def first(k: int, n: int) -> np.ndarray:
    """The first images of the order in which they are taken."""
    return epoch_order(0, np.zeros(k, int), np.arange(k), n)


class Written(NamedTuple):
    record: BitsRecord
    folder: Path


def measured(run: Path, progress: Progress = silent, **asked: Any) -> Written:
    own = {name: value for name, value in asked.items() if hasattr(FEW, name)}
    further = {"steps": 4} | {name: value for name, value in asked.items() if name not in own}
    found = measure_likelihood(run, replace(FEW, **own), progress, **further)
    assert found is not None
    return Written(*found)


def test_it_is_what_the_pipeline_says_of_held_out_images(run: Path) -> None:
    record, folder = measured(run)
    assert BitsRecord.read(folder / "bits.json") == record
    loaded = load(run, "cpu")
    held = training(loaded.config)[1]
    assert (record.n, record.data.images, record.held_out) == (60, len(held), True)
    order = first(60, len(held))
    bits = bits_per_dim(loaded, held.read(order), steps=4)
    assert record.bits == tuple(bits.tolist())
    assert record.names == tuple(held.names[i] for i in order)
    values = np.array(record.bits)
    assert record.mean == pytest.approx(values.mean(), rel=1e-12)
    assert record.stderr == pytest.approx(np.sqrt(((values - values.mean()) ** 2).sum() / 59 / 60), rel=1e-12)
    assert record.prior is not None
    assert record.kl is not None
    assert record.decoder is not None
    assert record.prior + record.kl + record.decoder == pytest.approx(record.mean, rel=1e-6)
    assert record.levels is not None
    assert record.levels.timestep == (1000, 667, 334, 1)
    assert record.levels.pairs == (1, 1, 1, 1)
    assert sum(record.levels.bits) + record.prior == pytest.approx(record.mean, rel=1e-6)
    assert (record.weights, record.how.variance, record.calls) == (loaded.weights, "small", 4)
    assert record.images_seen == 192


def test_the_other_variance_is_another_record(run: Path) -> None:
    """Of the same weights, images and noise; each is what the pipeline says, and the run's own is the default."""
    own, small, large = (measured(run, variance=name) for name in (None, "small", "large"))
    assert own == small
    assert large.folder != small.folder
    assert BitsRecord.read(large.folder / "bits.json").how.variance == "large"
    pipe = load(run, "cpu")
    images = training(pipe.config)[1].read(first(60, 89))
    assert large.record.bits == tuple(bits_per_dim(pipe, images, steps=4, variance="large").tolist())
    assert large.record.mean < small.record.mean - 1  # four steps are far too few for the small one


def test_killed_and_resumed_is_whole(run: Path, digits_run: Path, tmp_path: Path) -> None:
    """Cut off within the second file, and with the first damaged: the same bytes as without."""
    whole = measured(shutil.copytree(digits_run, tmp_path / "other"))

    class Killed(Exception):
        pass

    def kill(done: int, total: int, what: str = "", /) -> None:
        if done > 52:
            raise Killed

    with pytest.raises(Killed):
        measured(run, progress=kill)
    [first] = (run / "likelihood" / "answers").glob("*/*.npz")
    assert first.name == "000000-000050.npz"
    assert not list(run.glob("likelihood/*/bits.json"))
    first.write_bytes(first.read_bytes()[:500])
    seen: list[int] = []
    again = measured(run, progress=lambda done, total, what="": seen.append(total))
    assert again.record.bits == whole.record.bits
    assert again.record.model_copy(update={"run": ""}) == whole.record.model_copy(update={"run": ""})
    assert set(seen) == {60}


def test_what_is_there_is_not_taken_again(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: Any) -> Any:
        raise AssertionError("the network was asked")

    first = measured(run, n=50)
    with monkeypatch.context() as patch:
        patch.setattr(likelihood, "likelihood", never)
        assert measured(run, n=50) == first
    more = measured(run, n=80)
    assert more.record.bits[:50] == first.record.bits
    assert more.folder != first.folder


def test_the_batch_changes_nothing(run: Path, digits_run: Path, tmp_path: Path) -> None:
    other = shutil.copytree(digits_run, tmp_path / "other")
    assert measured(run).record.bits == measured(other, batch=7).record.bits


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"steps": 5}, {"terms": 2}, {"labels": True}, {"clip": False}], ids=str
)
def test_another_question_has_another_answer(run: Path, change: dict[str, Any]) -> None:
    usual, other = measured(run), measured(run, **change)
    assert other.folder != usual.folder
    assert set(other.record.bits).isdisjoint(usual.record.bits)
    assert other.record.names == usual.record.names


def test_labels_are_the_images_own(run: Path) -> None:
    record = measured(run, labels=True).record
    loaded = load(run, "cpu")
    held = training(loaded.config)[1].subset(first(60, 89))
    assert held.labels is not None
    bits = bits_per_dim(loaded, held.images, steps=4, labels=[held.classes[c] for c in held.labels])
    assert record.bits == tuple(bits.tolist())
    assert record.labels


def test_drawn_terms_stand_for_runs_of_levels(run: Path) -> None:
    levels = measured(run, steps=8, terms=2).record.levels
    assert levels is not None
    assert levels.pairs == (5, 2, 1)
    assert sum(levels.pairs) == 8
    # of 1000, 857, 715, 572, 429, 286, 144 and 1
    assert levels.timestep == (pytest.approx(3573 / 5, abs=1e-3), 430 / 2, 1)


def test_along_the_ode(run: Path) -> None:
    """The batch changes nothing here either: each image has its own steps."""
    ask: dict[str, Any] = {"n": 20, "steps": None, "method": "ode", "tolerance": 0.1, "probes": 2}
    record = measured(run, **ask).record
    assert record.levels is record.kl is record.how.variance is None
    assert record.calls > 10
    shutil.rmtree(run / "likelihood")
    assert measured(run, **ask, batch=7).record.bits == record.bits


def test_other_images(run: Path, folder: Callable[..., Path]) -> None:
    photos = folder(12, size=(10, 8), mode="L")
    found = measured(run, data=str(photos)).record
    assert (found.n, found.held_out, found.data.source) == (12, False, str(photos))
    assert found.notes == (f"12 images of {photos} were resized to 8 × 8 (crop)",)
    # noise is nothing like digits
    assert found.mean > measured(run).record.mean
    trained = measured(run, data="digits").record
    assert ["trained on" in note for note in trained.notes] == [True]


def test_a_checkpoint(run: Path) -> None:
    found = measured(run / "checkpoints" / "step-000000008")
    assert found.record.images_seen == 128
    assert found.folder.parent == run.absolute() / "likelihood"
    assert found.folder.name.startswith("step-000000008-bound4-")
    assert found.record.bits != measured(run).record.bits


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        ({"batch": 51}, "1 and 50, .* 51"),
        ({"batch": 0}, "batch must be between 1 and 50"),
        ({"n": 1}, "-n 1 .* 2"),
        ({"steps": 1001}, "steps 1001 is out of range; use 1 to 100"),
        ({"method": "ode"}, "steps 4"),
        ({"data": "nothing"}, "nothing does not exist"),
    ],
    ids=str,
)
def test_refusals(run: Path, ask: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        measured(run, **ask)
    assert not (run / "likelihood").exists()


def test_labels_that_cannot_be_told(run: Path, folder: Callable[..., Path]) -> None:
    for data, said in {
        folder(12, mode="L", name="plain"): "--labels .* --data",
        folder(12, mode="L", classes=("3", "cat"), name="cats"): "--labels: .* cat.* 0, 1, 2",
    }.items():
        with pytest.raises(InputError, match=said):
            measured(run, data=str(data), labels=True)


def test_a_run_that_always_saw_labels_needs_them(run: Path) -> None:
    config = run / "config.json"
    text = config.read_text(encoding="utf-8")
    assert '"label_dropout": 0.05' in text
    config.write_text(text.replace('"label_dropout": 0.05', '"label_dropout": 0.0'), encoding="utf-8")
    with refuses("conflict", "--labels"):
        measured(run)
    assert torch.isfinite(torch.tensor(measured(run, labels=True).record.bits)).all()


def test_without_the_runs_own_images(run: Path) -> None:
    config = run / "config.json"
    tree = config.read_text(encoding="utf-8")
    config.write_text(tree.replace('"source": "digits"', '"source": "gone"'), encoding="utf-8")
    with refuses("missing"):
        measured(run)
