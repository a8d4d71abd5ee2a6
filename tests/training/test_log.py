import errno
import json
from pathlib import Path

import pytest

from ddpm.training.log import Event, Kind, Log, training_seconds
from refusal import refuses


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def written(path: Path, *events: tuple[Kind, int]) -> Log:
    log = Log(path)
    for kind, step in events:
        log.write(Event(kind, step, step * 16))
    log.close()
    return log


def test_one_object_a_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = Log(path)
    log.write(Event("start", 0, 0, {"of": 320}))
    log.write(Event("train", 4, 64, {"loss": 0.5, "eta_s": None}))
    log.write(Event("warning", 5, 80, {"text": "×\n\u2028"}))
    assert lines(path) == [
        {"kind": "start", "step": 0, "images": 0, "of": 320},
        {"kind": "train", "step": 4, "images": 64, "loss": 0.5, "eta_s": None},
        {"kind": "warning", "step": 5, "images": 80, "text": "×\n\u2028"},
    ]


@pytest.mark.parametrize("rest", ["", '{"kind": "train", "st', '{"kind": "train", "step": 8, "images": 128}'])
def test_half_a_line_is_dropped(rest: str, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    written(path, ("start", 0), ("train", 4))
    with path.open("a") as f:
        f.write(rest)
    log = Log(path, from_step=8)
    log.write(Event("train", 12, 192))
    assert [line["step"] for line in lines(path)] == [0, 4, 12]


@pytest.mark.parametrize("line", [b"\0\0\0\n", b"\xff\xfe\n", b"[]\n", b"3\n", b"{}\n", b'{"step": "x"}\n', b"\n"])
def test_a_line_of_nonsense_is_dropped(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    written(path, ("start", 0), ("train", 4))
    path.write_bytes(path.read_bytes() + line)
    Log(path, from_step=8)
    assert [line["step"] for line in lines(path)] == [0, 4]


def test_lines_after_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    written(path, ("start", 0), ("train", 4), ("checkpoint", 8), ("train", 8), ("train", 12), ("warning", 13))
    Log(path, from_step=8)
    assert [(line["kind"], line["step"]) for line in lines(path)] == [
        ("start", 0),
        ("train", 4),
        ("checkpoint", 8),
        ("train", 8),
    ]


def test_a_run_that_starts_over_keeps_only_its_starts(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    written(path, ("start", 0), ("held-out", 0), ("preview", 0), ("train", 4))
    log = Log(path, from_step=0)
    log.write(Event("start", 0, 0))
    assert [line["kind"] for line in lines(path)] == ["start", "start"]


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = written(tmp_path / "log.jsonl", ("start", 0))

    def full(self: Path, *args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with refuses("unwritable"):
        log.write(Event("train", 1, 16))


def test_tensorboard_if_asked(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = Log(tmp_path / "log.jsonl", tensorboard=tmp_path / "tb")
    log.write(Event("train", 4, 64, {"loss": 0.5, "eta_s": None}))
    log.write(Event("train", 8, 128, {"loss": 0.25}))
    log.write(Event("warning", 8, 128, {"text": "no number"}))
    log.close()
    read = EventAccumulator(str(tmp_path / "tb"))
    read.Reload()
    assert read.Tags()["scalars"] == ["train/loss"]
    assert [(s.step, s.value) for s in read.Scalars("train/loss")] == [(64, 0.5), (128, 0.25)]
    log = Log(tmp_path / "log.jsonl", 4, 64, tmp_path / "tb")  # resumed at a checkpoint before the last event
    log.write(Event("train", 8, 128, {"loss": 0.75}))
    log.close()
    read.Reload()
    assert [(s.step, s.value) for s in read.Scalars("train/loss")] == [(64, 0.5), (128, 0.75)]


def test_no_tensorboard_unasked(tmp_path: Path) -> None:
    written(tmp_path / "log.jsonl", ("start", 0))
    assert [p.name for p in tmp_path.iterdir()] == ["log.jsonl"]


def test_tensorboard_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with refuses("missing"):
        Log(tmp_path / "log.jsonl", tensorboard=tmp_path / "tb")


def timed(path: Path, *events: tuple[Kind, int, float | None]) -> None:
    log = Log(path)
    for kind, images, speed in events:
        log.write(Event(kind, images // 16, images, {"images_per_s": speed} if kind == "train" else {}))


def test_seconds_of_training(tmp_path: Path) -> None:
    """64 images at 32 a second, then 64 at 64, then 128 at 16; what is between takes no time."""
    path = tmp_path / "log.jsonl"
    timed(path, ("start", 0, None), ("train", 64, 32), ("preview", 64, None), ("train", 128, 64), ("train", 256, 16))
    assert training_seconds(path, 256) == pytest.approx(2 + 1 + 8)
    assert training_seconds(path, 128) == pytest.approx(3)
    assert training_seconds(path, 200) == pytest.approx(3)  # of the line before
    assert training_seconds(path, 10**9) == pytest.approx(11)


def test_seconds_across_a_second_start_and_a_line_without_speed(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    timed(path, ("start", 0, None), ("train", 64, None), ("start", 64, None), ("train", 128, 64), ("train", 128, 1))
    assert training_seconds(path, 128) == pytest.approx(2)


def test_seconds_that_nobody_knows(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    assert training_seconds(path, 64) is None
    timed(path, ("start", 0, None), ("train", 64, 32))
    assert training_seconds(path, None) is None
    assert training_seconds(path) is None
    assert training_seconds(path, 32) is None


def test_seconds_despite_nonsense(tmp_path: Path) -> None:
    for line in [
        *(b"\0\0\n", b"\xff\n", b"[]\n", b"null\n", b"{}\n", b'{"kind": "train"}\n'),
        b'{"kind": "train", "images": "x", "images_per_s": 3}\n',
        b'{"kind": "train", "images": 80, "images_per_s": "x"}\n',
        b'{"kind": "train", "images": 96, "images_per_s": 1',
    ]:
        path = tmp_path / "log.jsonl"
        timed(path, ("start", 0, None), ("train", 64, 32))
        path.write_bytes(path.read_bytes() + line)
        assert training_seconds(path, 96) == pytest.approx(2)
