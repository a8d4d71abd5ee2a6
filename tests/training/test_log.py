import errno
import json
from pathlib import Path

import pytest

from ddpm.errors import InputError
from ddpm.training.log import Event, Kind, Log


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
    with pytest.raises(InputError, match=r"no space left to write .*log\.jsonl"):
        log.write(Event("train", 1, 16))


def test_tensorboard_if_asked(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = Log(tmp_path / "log.jsonl", 0, tmp_path / "tb")
    log.write(Event("train", 4, 64, {"loss": 0.5, "eta_s": None}))
    log.write(Event("train", 8, 128, {"loss": 0.25}))
    log.write(Event("warning", 8, 128, {"text": "no number"}))
    log.close()
    read = EventAccumulator(str(tmp_path / "tb"))
    read.Reload()
    assert read.Tags()["scalars"] == ["train/loss"]
    assert [(s.step, s.value) for s in read.Scalars("train/loss")] == [(64, 0.5), (128, 0.25)]


def test_no_tensorboard_unasked(tmp_path: Path) -> None:
    written(tmp_path / "log.jsonl", ("start", 0))
    assert [p.name for p in tmp_path.iterdir()] == ["log.jsonl"]


def test_tensorboard_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match="pip install tensorboard"):
        Log(tmp_path / "log.jsonl", 0, tmp_path / "tb")
