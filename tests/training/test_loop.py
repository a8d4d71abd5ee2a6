import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import count, cycle
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from PIL import Image
from safetensors.torch import load_file

from ddpm.codec import PixelCodec
from ddpm.core.stream import RowStreams
from ddpm.objectives.denoising import Denoising
from ddpm.system.interrupt import Interrupt
from ddpm.system.threads import Threads
from ddpm.training import checkpoint as checkpoints
from ddpm.training import loop, measure
from ddpm.training.job import Job
from ddpm.training.log import Event
from ddpm.training.loop import Diverged, train
from ddpm.training.preview import colour
from ddpm.training.trainer import Trainer
from refusal import refuses

MakeJob = Callable[..., Job]


def run(job: Job, stop_at: int | None = None) -> list[Event]:
    """All events of a run; asked to stop while step ``stop_at`` is under way."""
    AcceleratorState._reset_state(True)
    interrupt = Interrupt()
    events = []
    for event in train(job, Accelerator(cpu=True), interrupt):
        events.append(event)
        if stop_at is not None and event.step >= stop_at:
            interrupt.requested = True
    return events


def kinds(events: list[Event]) -> list[tuple[str, int]]:
    return [(e.kind, e.step) for e in events]


Finished = tuple[Job, list[Event]]


@pytest.fixture(scope="module")
def finished(job_in: Callable[..., Job], tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run from start to end, for reading only, and its events."""
    job = job_in(tmp_path_factory.mktemp("finished") / "run")
    return job, run(job)


@pytest.fixture
def ended(finished: Finished, make_job: MakeJob) -> Job:
    """The job of a copy of that run."""
    job = make_job()
    shutil.copytree(finished[0].folder, job.folder)
    return job


def test_what_happens_when(finished: Finished) -> None:
    """12 steps of 8 images: lines every 16, checkpoints every 32, previews before the first step and at the end."""
    job = finished[0]
    events = [e for e in finished[1] if e.kind != "warning"]  # so short a run has not learned the colours
    assert kinds(events) == [
        ("start", 0),
        ("held-out", 0),
        ("preview", 0),
        ("train", 2),
        ("train", 4),
        ("checkpoint", 4),
        ("train", 6),
        ("train", 8),
        ("checkpoint", 8),
        ("train", 10),
        ("train", 12),
        ("held-out", 12),
        ("preview", 12),
        ("checkpoint", 12),
        ("finish", 12),
    ]
    assert all(e.images == 8 * e.step for e in events)
    assert [p.name for p in checkpoints.paths(job.checkpoints)] == ["step-000000008", "step-000000012"]
    json.dumps([e.values for e in events], allow_nan=False)


def test_the_run_leaves_the_average_for_sampling(finished: Finished) -> None:
    job = finished[0]
    found, _ = checkpoints.newest(job.checkpoints)
    assert found is not None
    published = load_file(job.folder / "model.safetensors")
    assert published.keys() == found.tensors["ema"].keys()
    assert all(torch.equal(t, found.tensors["ema"][name]) for name, t in published.items())
    assert any(not torch.equal(t, found.tensors["model"][name]) for name, t in published.items())


def test_it_learns(make_job: MakeJob) -> None:
    """On one image the loss falls, in training and on that image held out."""
    job = make_job(images=480, log_every=8, label_dropout=0.0)
    one = job.data.subset(np.zeros(8, np.int64))
    events = run(replace(job, data=one, held_out=one))
    losses = [e.values["loss"] for e in events if e.kind == "train"]
    held = [e.values["loss"] for e in events if e.kind == "held-out"]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:5])  # the levels of one step alone may be easy ones
    assert held[-1] < 0.7 * held[0]


def test_values_of_a_line(finished: Finished) -> None:
    lines = [e.values for e in finished[1] if e.kind == "train"]
    for values in lines:
        assert values.keys() == {"loss", "grad_norm", "images_per_s", "waiting", "eta_s", "skipped"}
        assert 0 < values["loss"] < 10
        assert values["images_per_s"] > 0
        assert 0 <= values["waiting"] <= 1
        assert values["eta_s"] >= 0
    assert lines[-1]["eta_s"] == 0


def test_the_loss_of_a_line_is_the_mean_over_its_images(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    sums: list[float] = []
    step = Trainer.step

    def spy(self: Trainer, *args: object) -> object:
        report = step(self, *args)  # type: ignore[arg-type]
        sums.append(float(report.loss))
        return report

    monkeypatch.setattr(Trainer, "step", spy)
    lines = [e.values["loss"] for e in run(make_job()) if e.kind == "train"]
    assert lines == pytest.approx([(a + b) / 16 for a, b in zip(sums[::2], sums[1::2], strict=True)], rel=1e-6)


def test_previews_are_dense_at_the_start(make_job: MakeJob) -> None:
    """At the run's end, half, quarter …; the first before the first step. Early ones show the weights too."""
    events = run(make_job(images=8 * 8, previews=4))
    looks = [(e.step, Image.open(e.values["path"]).width) for e in events if e.kind == "preview"]
    single = min(width for _, width in looks)
    assert [(step, width > single) for step, width in looks] == [
        (0, True),
        (1, True),
        (2, True),
        (4, False),
        (8, False),
    ]


def test_a_preview_says_its_colours(finished: Finished) -> None:
    for e in finished[1]:
        if e.kind == "preview":
            assert len(e.values["mean"]) == len(e.values["std"]) == 3


def test_a_drift_of_colour_is_a_warning(make_job: MakeJob) -> None:
    job = make_job()
    assert job.preview is not None
    black = replace(job.preview, expected=colour(np.zeros((1, 1, 1, 3), np.uint8)))
    events = run(replace(job, preview=black, settings=replace(job.settings, learning_rate=1e-6)))
    assert [e.step for e in events if e.kind == "warning" and "colour drift" in e.values["text"]] == [12]


def test_a_model_that_draws_none_has_no_previews(make_job: MakeJob) -> None:
    job = replace(make_job(), preview=None)
    job.folder.mkdir()
    events = run(job)
    assert [kind for kind, _ in kinds(events) if kind != "train"] == [
        *("start", "held-out", "checkpoint", "checkpoint", "held-out", "checkpoint", "finish")
    ]


def test_an_interrupt_saves_and_the_same_call_goes_on(finished: Finished, make_job: MakeJob) -> None:
    whole, parts = finished[0], make_job("parts")
    events = run(parts, stop_at=6)
    assert kinds(events)[-2:] == [("checkpoint", 6), ("interrupted", 6)]
    more = run(make_job("parts"))
    assert kinds(more)[0] == ("start", 6)
    assert ("preview", 6) not in kinds(more)
    assert kinds(more)[-1] == ("finish", 12)
    assert all(e.step >= 6 for e in more)
    a, _ = checkpoints.newest(whole.checkpoints)
    b, _ = checkpoints.newest(parts.checkpoints)
    assert a is not None
    assert b is not None
    assert a.state == b.state
    for stem, named in a.tensors.items():
        assert all(torch.equal(t, b.tensors[stem][name]) for name, t in named.items())


def test_an_interrupt_between_two_lines_of_the_log_does_not_change_them(make_job: MakeJob) -> None:
    whole = run(make_job("whole", log_every=24))
    parts = run(make_job("parts", log_every=24), stop_at=4)
    assert kinds(parts)[-1] == ("interrupted", 5)
    parts += run(make_job("parts", log_every=24))
    a, b = (
        [(e.step, e.values["loss"], e.values["grad_norm"]) for e in events if e.kind == "train"]
        for events in (whole, parts)
    )
    assert [step for step, *_ in a] == [3, 6, 9, 12]
    assert a == b


def test_a_clock_that_jumps_changes_nothing(
    finished: Finished, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = cycle([86400.0, -86400.0])
    monkeypatch.setattr(time, "time", lambda: 1e9 + next(days))
    events = run(make_job())
    assert kinds(events) == kinds(finished[1])
    for event in (e for e in events if e.kind == "train"):
        assert event.values["images_per_s"] > 0
        assert 0 <= event.values["eta_s"] < 3600


def test_an_interrupt_at_the_last_step_is_the_end(make_job: MakeJob) -> None:
    assert kinds(run(make_job(), stop_at=11))[-1] == ("finish", 12)


def test_nothing_to_do(ended: Job) -> None:
    assert [event.kind for event in run(ended)] == ["finish"]


def test_a_damaged_checkpoint_is_passed_over_with_a_warning(ended: Job, make_job: MakeJob) -> None:
    job = ended
    (job.checkpoints / "step-000000012" / "ema.safetensors").unlink()
    events = run(make_job())
    assert kinds(events)[:2] == [("start", 8), ("warning", 8)]
    assert "step-000000012: ema.safetensors is missing" in events[1].values["text"]
    assert kinds(events)[-1] == ("finish", 12)
    assert checkpoints.newest(job.checkpoints)[1] == []


def test_the_damaged_checkpoint_does_not_push_out_a_good_one(make_job: MakeJob) -> None:
    job = make_job(keep=1, checkpoint_every=8)
    run(job)
    (job.checkpoints / "step-000000012").rename(job.checkpoints / "step-000000099")
    (job.checkpoints / "step-000000099" / "ema.safetensors").unlink()
    run(make_job(keep=1, checkpoint_every=8), stop_at=3)
    found, damaged = checkpoints.newest(job.checkpoints)
    assert found is not None
    assert found.step == 4
    assert damaged == []


def test_a_checkpoint_of_another_model_is_refused(ended: Job, make_job: MakeJob) -> None:
    job = ended
    found, _ = checkpoints.newest(job.checkpoints)
    assert found is not None
    model = {name.replace("net.", "unet."): t for name, t in found.tensors["model"].items()}
    checkpoints.write(job.checkpoints, replace(found, step=11, tensors=found.tensors | {"model": model}))
    (job.checkpoints / "step-000000012" / "state.json").unlink()
    with refuses("incompatible", "11"):
        run(make_job())


def poisoned(job: Job, bad: Callable[[int], bool]) -> Job:
    """Some calls' images are NaN; previews do not encode, and nothing is held out."""
    calls = count()

    def encode(images: torch.Tensor, streams: RowStreams) -> torch.Tensor:
        x = PixelCodec().encode(images)
        return x * torch.nan if bad(next(calls)) else x

    assert isinstance(job.objective, Denoising)
    return replace(job, objective=replace(job.objective, encode=encode), held_out=job.held_out.subset(np.arange(0)))


def test_poisoned_steps_are_named_counted_and_leave_no_trace(make_job: MakeJob) -> None:
    job = poisoned(make_job(patience=3), lambda call: call in (2, 3, 8))
    events = run(job)
    texts = [(e.step, e.values["text"]) for e in events if e.kind == "warning" and "skipped" in e.values["text"]]
    assert [step for step, _ in texts] == [3, 4, 9]
    assert all(text.startswith(f"skipped step {step}, whose gradient is not finite (images ") for step, text in texts)
    assert all(".png" in text for _, text in texts)
    lines = {e.step: e.values for e in events if e.kind == "train"}
    assert lines[4]["loss"] is None  # both its steps were skipped
    assert all(np.isfinite(lines[step]["loss"]) for step in (2, 6, 8, 10, 12))
    assert [lines[step]["skipped"] for step in (2, 4, 6, 8, 10, 12)] == [0, 2, 2, 2, 3, 3]
    assert events[-1].values == {"skipped": 3}
    found, _ = checkpoints.newest(job.checkpoints)
    assert found is not None
    assert found.state == {"skipped": 3, "ema_updates": 9, "meter": {"finite": 0, "loss": 0.0, "norm": 0.0}}
    assert all(bool(torch.isfinite(t).all()) for named in found.tensors.values() for t in named.values())


def test_too_many_in_a_row_end_the_run_and_name_step_and_images(make_job: MakeJob) -> None:
    job = poisoned(make_job(patience=3), lambda call: call == 2 or call >= 5)
    seen: list[Event] = []
    with pytest.raises(Diverged, match=r"3 consecutive .* step 8 .*\(images \d+\.png, .*checkpoints"):
        seen.extend(train(job, Accelerator(cpu=True), Interrupt()))
    found, _ = checkpoints.newest(job.checkpoints)
    assert found is not None
    assert found.step == 4  # that of before


def test_a_full_disk_keeps_what_was_saved(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    job = make_job()
    run(job, stop_at=6)
    before = {p: p.read_bytes() for p in job.folder.rglob("*") if p.is_file()}

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with refuses("unwritable"):
        run(make_job())
    assert {p: p.read_bytes() for p in before} == before
    monkeypatch.undo()
    assert kinds(run(make_job()))[-1] == ("finish", 12)


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What reaches the run folder, in turn."""
    names: list[str] = []
    replaced = Path.replace

    def spy(self: Path, target: Path) -> Path:
        names.append(Path(target).name)
        return replaced(self, target)

    monkeypatch.setattr(Path, "replace", spy)
    return names


def test_the_average_is_there_before_the_checkpoint_that_ends_the_run(make_job: MakeJob, order: list[str]) -> None:
    """A run killed between the two must write them again; one that has its last checkpoint does nothing any more."""
    run(make_job())
    saved = [name for name in order if name == "model.safetensors" or (name.startswith("step-") and "." not in name)]
    assert saved[0::2] == ["model.safetensors"] * 3
    assert saved[1::2] == ["step-000000004", "step-000000008", "step-000000012"]


def test_choosing_the_number_of_threads_leaves_no_trace(
    finished: Finished, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps that measure it are undone: the run is that of one without a choice, also when it is resumed."""
    applied: list[int] = []
    choices = Threads([2, 1], applied.append)
    monkeypatch.setattr(loop, "threads", lambda: choices)
    monkeypatch.setattr(measure, "threads", lambda: choices)
    monkeypatch.setattr(loop, "pace", partial(measure.pace, trial=0.01))
    job = make_job()
    first = run(job, stop_at=5)
    assert kinds(first)[:2] == [("start", 0), ("threads", 0)]
    assert set(first[1].values["images_per_s"]) == {"2", "1"}
    stopped, _ = checkpoints.newest(job.checkpoints)
    assert stopped is not None
    assert stopped.state["threads"] == first[1].values["threads"] == choices._applied
    second = run(job)
    assert ("threads", stopped.step) in kinds(second)
    expected, found = (load_file(folder / "model.safetensors") for folder in (finished[0].folder, job.folder))
    assert all(torch.equal(found[name], expected[name]) for name in expected)
