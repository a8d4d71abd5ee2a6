"""Standard output that is closed, full, or of few characters."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cases import cases
from ddpm.cli import EXIT_OUTPUT
from ddpm.cli.streams import dependable

SCRIPT = """
import os, sys
from ddpm.cli.streams import dependable
for _ in range(2):
    with dependable() as output:
        print("8 × 8 … d\\xe9j\\xe0, 10²", os.fsdecode(b"\\xff"), flush=True)
        os.open(os.devnull, os.O_RDONLY)
        print("error ×", file=sys.stderr)
    print(output.lost and output.lost.errno, file=sys.stderr)
"""
SHELL = {
    "> /dev/full": "error x\nddpm: cannot write to standard output: No space left on device\n28\n",
    "| true": "error x\n32\n",
    ">&-": "error x\nNone\n",
    "<&- >&- 2>&-": "",
}


@cases("how", SHELL)
def test_streams_that_cannot_be_written(how: str, tmp_path: Path) -> None:
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    (tmp_path / "script.py").write_text(SCRIPT.replace("range(2)", "range(1)"))
    command = f"(sleep 0.2; exec {sys.executable} {tmp_path}/script.py) {how}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=env)
    assert (ended.returncode, ended.stdout) == (0, "") or how == "| true"
    assert ended.stderr == SHELL[how]


def test_characters_that_the_locale_lacks(tmp_path: Path) -> None:
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    ended = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=env)
    assert ended.stdout == 2 * "8 x 8 ... deja, 102 ?\n"


def test_a_command_without_its_output_says_so_with_its_code(
    cli: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        for out, code in ((sys.stdout, 0), (full, EXIT_OUTPUT)):
            monkeypatch.setattr(sys, "stdout", out)
            assert cli("doctor") == code
        assert cli("sample", "nothing") == 2


def test_an_error_of_the_disk_is_one_line(
    cli: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object) -> None:
        raise OSError(5, "Input/output error", "photos/a.png")

    monkeypatch.setattr("ddpm.cli.app", broken)
    assert cli("check", "photos") == 2
    assert capsys.readouterr().err == (
        "ddpm: photos/a.png: Input/output error; check the disk, and re-run the same command\n"
    )


def test_nothing_changes_in_a_notebook(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout
    with dependable() as output:
        print("é ×")
    assert (sys.stdout, output.lost) == (before, None)
    assert capsys.readouterr().out == "é ×\n"
