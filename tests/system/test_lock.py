"""One process trains in a folder; a killed one leaves no lock."""

import os
from pathlib import Path

import pytest

from ddpm.system.lock import LOCK, exclusive
from refusal import refuses


def test_only_one_holds_it(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with exclusive(folder):
        with refuses("busy", str(folder), f"process {os.getpid()} on"), exclusive(folder):
            raise AssertionError
        assert (folder / LOCK).exists()
    assert not list(folder.iterdir())
    with exclusive(folder):
        pass


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    if (pid := os.fork()) == 0:
        held = exclusive(tmp_path)
        held.__enter__()
        os._exit(0)
    os.waitpid(pid, 0)
    assert (tmp_path / LOCK).exists()
    with exclusive(tmp_path):
        pass


def test_a_file_removed_by_its_last_holder_is_locked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is removed between the two looks at it: whether it exists, and whether it is the locked one."""
    fstat = os.fstat

    def removed(handle: int) -> os.stat_result:
        monkeypatch.setattr(os, "fstat", fstat)
        (tmp_path / LOCK).unlink()
        return fstat(handle)

    monkeypatch.setattr(os, "fstat", removed)
    with exclusive(tmp_path), refuses("busy", str(tmp_path)), exclusive(tmp_path):
        raise AssertionError


def test_a_folder_that_cannot_be_written_has_none(tmp_path: Path) -> None:
    (tmp_path / LOCK).mkdir()  # cannot be opened to write
    with exclusive(tmp_path):
        pass
