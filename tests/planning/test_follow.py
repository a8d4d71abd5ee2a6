"""What training prints of its events."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from cases import cases
from ddpm.planning.follow import Show
from ddpm.training.job import Job
from ddpm.training.log import Event

SPEEDS = {"2": 228.0, "1": 139.4}
JOB = cast(Job, SimpleNamespace(settings=SimpleNamespace(steps=100, batch=64, log_every=640)))
TRAIN: dict[str, Any] = {"loss": 0.25, "images_per_s": 200.0, "waiting": 0.0, "eta_s": 90.0}
SHOWN = {
    "threads": (
        Event("threads", 0, 0, {"threads": 2, "images_per_s": SPEEDS}),
        ["2", "228", "1: 139"],
    ),
    "train": (Event("train", 10, 640, TRAIN), ["640 images", "0.2500", "200 images/s", "1 min 30 s left"]),
    "skipped loss": (Event("train", 10, 640, TRAIN | {"loss": None}), ["loss –"]),
    "held-out": (Event("held-out", 10, 640, {"loss": 0.5}), ["640 images", "0.5000"]),
    "score": (
        Event("score", 10, 640, {"frechet": 12.3456, "kid": 0.01, "n": 64, "best": True}),
        ["12.35", "0.01", "64 samples", "best"],
    ),
    "preview": (Event("preview", 10, 640, {"path": "p[1].png"}), ["p[1].png"]),
    "warning": (Event("warning", 10, 640, {"text": "skipped [b]"}), ["warning", "skipped [b]"]),
}


@cases("kind", SHOWN)
def test_each_event_is_one_line(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    event, parts = SHOWN[kind]
    capsys.readouterr()
    Show(JOB, lambda done, total, note="": None)(event)
    out = capsys.readouterr().out
    assert out.count("\n") == 1, out
    assert all(part in out for part in parts), out


def test_a_log_has_one_line_for_each_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    """Also where lines come at uneven distances, and after a resume."""
    show = Show(JOB, lambda done, total, note="": None)
    capsys.readouterr()
    show(Event("start", 9, 576, {}))
    for images in (576, 1216, 1280, 1856, 1920, 2560):
        show(Event("train", images // 64, images, TRAIN))
        show(Event("held-out", images // 64, images, {"loss": 0.5}))
    lines = [line.split()[0] for line in capsys.readouterr().out.splitlines() if "images/s" in line]
    assert lines == ["1,216", "1,280", "1,920", "2,560"]
