"""Scores of a run: which are taken, what they cost, and what is kept of the best."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from hypothesis import given
from hypothesis import strategies as st

from ddpm.config.scoring import ScoringSettings, planned
from ddpm.core.model import Model
from ddpm.system.interrupt import Interrupt
from ddpm.training import checkpoint as checkpoints
from ddpm.training import meter, observer
from ddpm.training.job import Job
from ddpm.training.log import Event
from ddpm.training.loop import train
from ddpm.training.scoring import Best, ScoreCurve, Scored, Scoring, publish, published

MakeJob = Callable[..., Job]
CPU = torch.device("cpu")


@dataclass
class Clock:
    """A clock that is told the time."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Listed:
    """A scorer that finds these distances in turn, each in so many seconds of a clock."""

    distances: Sequence[float]
    clock: Clock = field(default_factory=Clock)
    seconds: float = 0.0
    calls: int = 0

    def __call__(self, model: Model, device: torch.device) -> Scored:
        self.calls += 1
        self.clock.now += self.seconds
        return Scored(self.distances[self.calls - 1], 0.5, 16)


def by_weights(model: Model, device: torch.device) -> Scored:
    """A scorer that is a function of the weights and nothing else, lower for some and higher for others."""
    total = sum(float(w.double().sum()) for w in model.parameters())
    return Scored(1 + (1000 * total) % 1, total, 16)


def scored(job: Job, scorer: Any = by_weights, every: int = 8, share: float = 1.0) -> Job:
    """The job with scores; without all else that is watched on the way, which would take longer than its steps."""
    job.folder.mkdir(exist_ok=True)
    scoring, settings = Scoring(scorer, ScoringSettings(every, share=share)), replace(job.settings, averages=0)
    return replace(job, settings=settings, scoring=scoring, preview=None, held_out=job.held_out.subset(np.arange(0)))


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


def scores(events: list[Event]) -> list[Event]:
    return [e for e in events if e.kind == "score"]


def steps(job: Job) -> list[int]:
    """Steps of the checkpoints that are there."""
    return [int(path.name.removeprefix("step-")) for path in checkpoints.paths(job.checkpoints)]


def files(job: Job) -> dict[str, bytes]:
    """What a run leaves: its best, its published average, and every checkpoint."""
    found = [job.folder / "best.json", job.folder / "model.safetensors", *job.checkpoints.rglob("*.*")]
    return {str(path.relative_to(job.folder)): path.read_bytes() for path in found}


# when and on what


def test_settings_that_make_no_sense() -> None:
    for changes, said in [
        ({"every": 0}, "every must be at least 1, not 0"),
        ({"samples": 9}, "samples must be at least 10, not 9"),
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"share": 0.0}, "share must be above 0 and at most 1, not 0.0"),
        ({"share": 1.1}, "share must be above 0 and at most 1, not 1.1"),
        ({"share": float("nan")}, "share must be above 0 and at most 1, not nan"),
    ]:
        with pytest.raises(ValueError, match=said):
            ScoringSettings(**{"every": 100} | changes)


def test_what_is_planned() -> None:
    for images, every, samples, points in [
        (2_000_000, 100_000, 256, 20),  # long: as many and as large as is good
        (607_000, 30_350, 256, 20),  # 256 · 16 / 3 images' time, 20 times, are 4.5 % of 606,815
        (300_000, 15_000, 126, 20),
        (48_896, 8_149, 64, 6),  # short: 64 are the fewest
        (1_000, 1_000, 64, 1),  # shorter than a score may cost: only that at the end
    ]:
        s = planned(ScoringSettings(1), images, 64, ())
        assert (s.every, s.samples, s.points(images, 64)) == (every, samples, points), images


@given(st.integers(1, 10**8), st.integers(8, 512), st.floats(0.001, 1.0), st.integers(1, 50), st.integers(10, 10_000))
def test_what_is_planned_fits_the_share(images: int, batch: int, share: float, solver: int, samples: int) -> None:
    """From two scores on: one at the end there is always. With batches of fewer than 8, there may be one too many."""
    images = -(-images // batch) * batch
    s = planned(ScoringSettings(1, samples, solver, share), images, batch, ())
    assert s.points(images, batch) == 1 or s.cost(images, batch) <= share * images
    assert min(64, samples) <= s.samples <= samples
    assert batch <= s.every


def test_what_is_given_is_not_planned() -> None:
    asked = ScoringSettings(123, 1000, 5, 0.5)
    assert planned(asked, 50_000, 64, {"every", "samples"}) == asked
    assert planned(asked, 50_000, 64, {"every"}) == replace(asked, samples=64)
    assert planned(replace(asked, every=12_500), 50_000, 64, {"every"}).samples == 1000  # 13,500 for four
    assert planned(replace(asked, every=500), 50_000, 64, {"every"}).samples == 135  # for a hundred
    assert planned(asked, 50_000, 64, {"samples"}).samples == 1000


def test_points_are_those_that_a_run_takes(make_job: MakeJob) -> None:
    for images, every in [(8, 8), (16, 1000), (40, 20), (40, 24), (48, 16), (56, 16)]:
        job = scored(make_job(f"{images} {every}", images=images, checkpoint_every=1000, log_every=1000), every=every)
        assert job.scoring is not None
        taken = [e.images for e in scores(run(job))]
        assert taken == sorted({-(-n // 8) * 8 for n in range(every, images, every)} | {images}), (images, every)
        assert job.scoring.settings.points(images, 8) == len(taken), (images, every)


# what it may cost


def test_scores_keep_to_their_share_of_the_time() -> None:
    """After the first of them, whose cost nobody can know before; and of what is allowed, little is left over."""
    for seconds, share in [(1.0, 0.05), (0.3, 0.05), (7.0, 0.2), (100.0, 0.05), (1.0, 1.0)]:
        clock = Clock()
        scorer = Listed([1.0] * 2000, clock, seconds)
        curve = ScoreCurve(Scoring(scorer, ScoringSettings(1, share=share)), None, clock)
        for step in range(1, 1001):
            clock.now += 1.0
            if curve.affordable():
                curve.take(Model(torch.nn.Identity()), CPU, step, step)
                assert scorer.calls == 1 or scorer.calls * seconds <= share * (clock.now - 100.0) + 1e-9
        most = min(1000, share * (clock.now - 100.0) / seconds)
        assert most - 2 <= scorer.calls <= max(1, most + 1e-9), (seconds, share)


def test_a_dear_score_is_left_out_but_not_the_last(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(model: Model, device: torch.device) -> Scored:
        time.sleep(0.05)
        return by_weights(model, device)

    events = run(scored(make_job(), slow, share=0.001))
    assert [e.step for e in scores(events)] == [1, 12]


def test_time_for_scores_is_no_time_of_training(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    def seconds() -> float:
        clock[0] += 0.001  # each look at it
        return clock[0]

    def slow(model: Model, device: torch.device) -> Scored:
        clock[0] += 500
        return by_weights(model, device)

    monkeypatch.setattr(meter, "time", SimpleNamespace(perf_counter=seconds))
    events = run(scored(make_job(log_every=96), slow, every=48))
    line = next(e for e in events if e.kind == "train")
    assert clock[0] > 1000  # two scores
    assert line.images / line.values["images_per_s"] < 1


# what it says, and what it leaves alone


def test_a_line_of_the_log(make_job: MakeJob) -> None:
    events = run(scored(make_job(), Listed([5.0, 3.0, 4.0]), every=32))
    assert [(e.step, e.images) for e in scores(events)] == [(4, 32), (8, 64), (12, 96)]
    for e, distance, best in zip(scores(events), (5.0, 3.0, 4.0), (True, True, False), strict=True):
        assert e.values.pop("seconds") >= 0
        assert e.values == {"frechet": distance, "kid": 0.5, "n": 16, "best": best}


def test_it_is_the_average_that_is_scored(make_job: MakeJob) -> None:
    job = scored(make_job(), every=96)
    (last,) = scores(run(job))
    found, _ = checkpoints.newest(job.checkpoints)
    assert found is not None
    total = sum(float(w.double().sum()) for w in found.tensors["ema"].values())
    assert last.values["kid"] == pytest.approx(total, rel=1e-12)


def test_training_does_not_notice(make_job: MakeJob) -> None:
    """Weights, average and moments bit for bit, and every loss: not even random draws of a scorer reach it."""

    def careless(model: Model, device: torch.device) -> Scored:
        torch.manual_seed(1)
        return by_weights(model, device)

    plain, watched = make_job("plain"), make_job("watched")
    watched = replace(watched, scoring=Scoring(careless, ScoringSettings(8, share=1.0)))
    before, after = run(plain), run(watched)
    a, _ = checkpoints.newest(plain.checkpoints)
    b, _ = checkpoints.newest(watched.checkpoints)
    assert a is not None
    assert b is not None
    assert "best" in b.state
    assert a.state == {key: value for key, value in b.state.items() if key != "best"}
    for stem, named in a.tensors.items():
        assert all(torch.equal(t, b.tensors[stem][name]) for name, t in named.items())
    assert not (plain.folder / "best.json").exists()

    def losses(events: list[Event]) -> list[Any]:
        return [(e.kind, e.step, e.values["loss"]) for e in events if e.kind in ("train", "held-out")]

    assert losses(before) == losses(after)


# the best


def test_the_best_is_kept(make_job: MakeJob) -> None:
    """Scores after steps 3, 6, 9, 12; checkpoints after 4, 8, 12, of which the two newest stay."""
    for distances, best, kept in [
        ([5, 4, 3, 2], 12, [9, 12]),  # a score between two checkpoints makes one of its own
        ([2, 3, 4, 5], 3, [3, 8, 12]),
        ([5, 2, 3, 4], 6, [6, 8, 12]),
        ([2, 2, 2, 2], 3, [3, 8, 12]),  # the first of equals
    ]:
        job = scored(make_job(str(distances)), Listed(distances), every=24)
        run(job)
        assert steps(job) == kept, distances
        assert json.loads((job.folder / "best.json").read_text()) == {
            "format": 2,
            "checkpoint": f"checkpoints/step-{best:09d}",
            "step": best,
            "images": 8 * best,
            "frechet": min(distances),
            "kid": 0.5,
        }
        found = published(job.folder)
        assert found == Best.of(best, 8 * best, Scored(min(distances), 0.5, 16))
        assert checkpoints.read(found.path(job.folder)).step == best


def test_stopped_and_gone_on(make_job: MakeJob) -> None:
    """All that is left is that of an uninterrupted run, but for what was saved at the stops."""
    whole = scored(make_job("whole"), every=8)
    expected = scores(run(whole))
    parts: list[Event] = []
    for stop in (1, 2, 7, 11, None):
        parts += scores(run(scored(make_job("parts"), every=8), stop))
    job = make_job("parts")

    def line(e: Event) -> Event:
        return replace(e, values={key: value for key, value in e.values.items() if key != "seconds"})

    assert list(map(line, parts)) == list(map(line, expected))
    wanted, found = files(whole), files(job)
    last = [name for name in wanted if "step-000000012" in name or "checkpoints" not in name]
    assert {name: found[name] for name in last} == {name: wanted[name] for name in last}
    assert published(job.folder).path(job.folder).exists()  # type: ignore[union-attr]


class Killed(Exception):
    """In timestep of SIGKILL."""


def improving(make_job: MakeJob, folder: Any) -> Job:
    """Five steps; as the average moves away from its start, each score is better than that before."""
    made = make_job(folder, images=40, checkpoint_every=16, log_every=40)
    start = [w.detach().clone() for w in made.model.parameters()]

    def farther(model: Model, device: torch.device) -> Scored:
        moved = sum(float((w - first).square().sum()) for w, first in zip(model.parameters(), start, strict=True))
        return Scored(100 - moved, 0.5, 16)

    return scored(made, farther, every=8)


@pytest.fixture(scope="module")
def improved(job_in: MakeJob, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What such a run leaves that nothing interrupts."""
    job = improving(job_in, tmp_path_factory.mktemp("improved") / "run")
    run(job)
    return files(job)


@pytest.mark.parametrize("write", ["publish", "write_file", "write", "prune"])
def test_killed_while_it_saves(
    write: str, improved: dict[str, bytes], make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each of the files that make a best one: the same command ends as if nothing had happened."""
    room: Any = observer if write in ("publish", "write_file") else checkpoints
    original = getattr(room, write)
    for call in (1, 4):
        parts, calls = improving(make_job, f"parts {call}"), []

        def killed(*args: Any, call: int = call, calls: list[Any] = calls) -> Any:
            result = original(*args)
            calls.append(args)
            if len(calls) == call:
                raise Killed
            return result

        with monkeypatch.context() as patch:
            patch.setattr(room, write, killed)
            with pytest.raises(Killed):
                run(parts)
        run(improving(make_job, f"parts {call}"))
        assert files(parts) == improved, call


def test_a_best_of_later_steps_is_forgotten(make_job: MakeJob) -> None:
    """Its checkpoint is damaged, so the run goes on from before it, where another was the best."""
    job = scored(make_job(), Listed([3.0, 2.0, 1.0]), every=32)
    run(job)
    (job.checkpoints / "step-000000012" / "model.safetensors").write_bytes(b"")
    said: list[Best | None] = []
    AcceleratorState._reset_state(True)
    for event in train(scored(make_job(), Listed([2.5]), every=32), Accelerator(cpu=True), Interrupt()):
        if event.kind == "train":
            said.append(published(job.folder))
    assert {best.step if best else None for best in said} == {8}
    assert published(job.folder) == Best.of(8, 64, Scored(2.0, 0.5, 16))
    assert steps(job) == [8, 12]


def test_the_best_that_was_taken_away_is_forgotten(make_job: MakeJob) -> None:
    job = scored(make_job(), Listed([1.0, 2.0, 3.0]), every=32)
    run(job, stop_at=9)
    for path in (job.checkpoints / "step-000000004").iterdir():
        path.unlink()
    (job.checkpoints / "step-000000004").rmdir()
    run(scored(make_job(), Listed([3.0]), every=32))
    assert published(job.folder) == Best.of(12, 96, Scored(3.0, 0.5, 16))


def test_best_json_of_nothing(tmp_path: Path) -> None:
    assert published(tmp_path) is None
    publish(tmp_path, None)
    assert list(tmp_path.iterdir()) == []
    publish(tmp_path, Best.of(3, 24, Scored(1.5, -0.25, 16)))
    assert published(tmp_path) == Best.of(3, 24, Scored(1.5, -0.25, 16))
    for text in ("", "[1]", '{"checkpoint": "x"}', '{"step": 1, "colour": 2}'):
        (tmp_path / "best.json").write_text(text)
        assert published(tmp_path) is None
    publish(tmp_path, None)
    assert list(tmp_path.iterdir()) == []
