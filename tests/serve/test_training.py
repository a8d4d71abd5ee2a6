"""Trainings that are started from the page, as processes; here of a program that only waits."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ddpm.serve.training import Training, Trainings
from refusal import refuses

WAITS = f"""#!{sys.executable}
import sys, time
print(*sys.argv[3:], flush=True)
time.sleep(60)
"""


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Trainings]:
    """Trainings of one folder, as after a restart."""
    program = tmp_path / "python"
    program.write_text(WAITS)
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    (tmp_path / "data" / "photos").mkdir(parents=True)
    for name in ("photos.zip", "a.TAR", "b.parquet", "notes.txt"):
        (tmp_path / "data" / name).write_bytes(b"")
    (tmp_path / "data" / "link").symlink_to(tmp_path / "data" / "photos")
    return lambda: Trainings(tmp_path / "data", tmp_path / "runs", tmp_path / "uploads")


def test_start_stop_and_resume(make: Callable[[], Trainings], tmp_path: Path) -> None:
    trainings = make()
    assert trainings.sources() == ["digits", "a.TAR", "b.parquet", "photos", "photos.zip"]
    trainings.start(Training(name="one", data="photos", budget="10m", size=16))
    began = time.monotonic()
    while not trainings.state("one")["said"]:
        assert time.monotonic() < began + 30
        time.sleep(0.01)
    state = trainings.state("one")
    assert (state["state"], state["images"]) == ("running", 0)
    assert state["said"] == [f"train {tmp_path}/data/photos --out {tmp_path}/runs/one --for 10m --size 16"]
    with refuses("conflict", "one"):
        trainings.start(Training(name="two", data="digits"))
    with refuses("conflict", "one"):
        trainings.resume("one")
    again = make()  # by a server that starts after one that was killed
    assert again.running == "one"
    again.stop()
    trainings._process.wait(30)
    assert (again.running, trainings.running) == (None, None)
    again.resume("one")
    assert (again.running, again.names()) == ("one", ["one"])
    again.stop()
    again._process.wait(30)
    assert make().running is None


def test_refused(make: Callable[[], Trainings], tmp_path: Path) -> None:
    trainings = make()
    (tmp_path / "runs" / "taken").mkdir(parents=True)
    with refuses("exists", "taken"):
        trainings.start(Training(name="taken", data="digits"))
    with refuses("exists", "served"):
        trainings.start(Training(name="served", data="digits"), served=["served"])
    with refuses("exists", "photos.zip"):
        trainings.arriving("photos.zip")
    for name in ("..", "a/b", "-x", ""):
        with refuses("invalid"):
            trainings.start(Training(name=name, data="digits"))
        with refuses("missing"):
            trainings.resume(name)
    with refuses("missing", "photos.zip"):
        trainings.start(Training(name="x", data="other"))
    assert trainings.running is None
