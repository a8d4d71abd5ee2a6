from pathlib import Path

import pytest
import torch

from ddpm.records.run_folder import RunFolder, weights_hash
from refusal import refuses


def place(run: Path, step: int) -> Path:
    return run / "checkpoints" / f"step-{step:09d}"


def test_a_checkpoint_opens_by_the_same_door(digits_run: Path) -> None:
    run, earlier = RunFolder.open(digits_run), RunFolder.open(place(digits_run, 8))
    assert (run.path, run.checkpoint, run.source, run.stage, run.steps()) == (digits_run, None, digits_run, "", 12)
    assert earlier.path == digits_run
    assert earlier.source == earlier.checkpoint == place(digits_run, 8)
    assert (earlier.stage, earlier.steps()) == ("step-000000008-", 8)
    assert earlier.config() == run.config()


def test_a_checkpoint_that_is_named_from_within(digits_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(digits_run / "checkpoints")
    assert RunFolder.open(Path("step-000000008")).path == digits_run


def test_what_is_neither(tmp_path: Path) -> None:
    assert RunFolder.of(tmp_path) is None
    assert RunFolder.of(tmp_path / "nothing") is None
    with refuses("missing"):
        RunFolder.open(tmp_path)
    with refuses("missing"):
        RunFolder.open(tmp_path / "nothing")


def test_what_a_run_has_not_yet(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert (run.steps(), run.tuned(), run.best()) == (None, None, None)
    run.tuned_file.write_text("{}")
    with refuses("unreadable"):
        run.tuned()


def test_a_run_has_the_weights_of_its_last_checkpoint(digits_run: Path) -> None:
    last, before = (RunFolder.open(place(digits_run, step)).weights() for step in (12, 8))
    assert weights_hash(RunFolder(digits_run).weights()) == weights_hash(last) != weights_hash(before)
    assert last.keys() == before.keys()


def test_the_fingerprint_is_of_names_and_values_in_any_order() -> None:
    a, b = torch.arange(4.0), torch.ones(2)
    known = weights_hash({"a": a, "b": b})
    assert len(known) == 16
    assert weights_hash({"b": b, "a": a}) == known
    assert weights_hash({"a": a, "c": b}) != known
    assert weights_hash({"a": a, "b": b + 1e-6}) != known


def test_no_weights(tmp_path: Path) -> None:
    with refuses("missing"):
        RunFolder(tmp_path).weights()


def test_weights_that_were_not_downloaded(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.weights_file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    with refuses("missing", run.weights_file.name, "git lfs pull"):
        run.weights()


def test_a_checkpoint_that_training_removed_meanwhile(digits_run: Path, tmp_path: Path) -> None:
    gone = tmp_path / "checkpoints" / "step-000000004"
    with refuses("missing", str(gone), "training.keep"):
        RunFolder(digits_run, gone).weights()
