import re
import subprocess
import sys

import pytest

from ddpm.cli import main

COMMANDS = (
    *("check", "train", "train-classifier", "distill", "sample", "upscale", "sweep", "tune", "report", "plot"),
    *("evaluate", "inpaint", "outpaint", "edit", "restore", "interpolate", "likelihood", "compare", "doctor"),
)


SCRIPT = """
import sys
from ddpm.cli import main
slow = {"torch", "numpy", "accelerate", "pydantic", "PIL", "safetensors", "sklearn"}
for argv in (["--help"], ["--version"], [], *([command, "--help"] for command in sys.argv[1:])):
    try:
        main(argv)
    except SystemExit as e:
        assert not e.code, argv
    waited = slow & set(sys.modules)
    assert not waited & ({"torch"} if len(argv) > 1 else slow), (argv, waited)
"""
"""A command's help may wait for its settings, but not for torch."""


def test_help_waits_for_no_torch() -> None:
    """And names every command; that of a command its flags, of each kind one: with a value, without, before a list."""
    ended = subprocess.run([sys.executable, "-c", SCRIPT, *COMMANDS], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    of_all, of_check, of_train, *_ = re.split("Usage: ddpm (?:check|train|train-classifier) ", ended.stdout)
    assert [kind for kind in (".zip", ".npz", ".tar", ".parquet") if kind not in of_check or kind not in of_train] == []
    assert [command for command in COMMANDS if command not in of_all] == []
    assert "75" in of_all
    assert [command for command in COMMANDS if f"Usage: ddpm {command}" not in ended.stdout] == []
    assert [flag for flag in ("--for", "--no-labels", "--micro-batch", "--set") if flag not in ended.stdout] == []


def test_what_cannot_be_parsed_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    for line, said in {
        "--bogus": "Error",
        "bogus": "Error",
        "train": "Error",
        "train digits --batch x": "Error",
        "train digits --mode CMYK": "Error",
        "train digits --bogus 3": "Error",
        "train digits --micro-bach 3": "Did you mean --micro-batch?",
        "sample --n": "Error",
        "check": "Error",
        "sample a b c": "Error",
    }.items():
        with pytest.raises(SystemExit) as ended:
            main(line.split())
        assert ended.value.code == 2, line
        err = capsys.readouterr().err
        assert said in err, line
        assert "Traceback" not in err
