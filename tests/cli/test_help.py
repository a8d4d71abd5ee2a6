import subprocess
import sys

import pytest

from ddpm.cli import main

COMMANDS = (
    *("check", "train", "train-classifier", "distill", "sample", "upscale", "sweep", "tune", "report", "plot"),
    *("evaluate", "inpaint", "outpaint", "edit", "restore", "interpolate", "likelihood", "compare", "doctor"),
)


def test_help_waits_for_no_torch() -> None:
    script = (
        "import sys\n"
        "from ddpm.cli import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "except SystemExit as e:\n"
        "    assert not e.code, e.code\n"
        "slow = {'torch', 'numpy', 'accelerate', 'pydantic', 'PIL', 'safetensors', 'sklearn'} & set(sys.modules)\n"
        "assert not slow, slow\n"
    )
    for argv in (["--help"], ["--version"], []):
        ended = subprocess.run([sys.executable, "-c", script, *argv], capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout


def test_a_commands_help_waits_for_no_torch() -> None:
    """One process asks for all of them, the first that imported torch is named."""
    script = (
        "import sys\n"
        "from ddpm.cli import main\n"
        "for command in sys.argv[1:]:\n"
        "    try:\n"
        "        main([command, '--help'])\n"
        "    except SystemExit:\n"
        "        assert 'torch' not in sys.modules, command\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, *COMMANDS], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert [command for command in COMMANDS if f"Usage: ddpm {command}" not in ended.stdout] == []


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert not ended.value.code
    out = capsys.readouterr().out
    assert all(command in out for command in COMMANDS)
    assert "75" in out


def test_help_of_train_names_its_flags(capsys: pytest.CaptureFixture[str]) -> None:
    """Of each kind one: with a value, without, of a whole number, in front of a list."""
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    out = capsys.readouterr().out
    assert [flag for flag in ("--for", "--no-labels", "--micro-batch", "--set") if flag not in out] == []


@pytest.mark.parametrize(
    "argv",
    [
        *(
            ["--bogus"],
            ["bogus"],
            ["train"],
            ["train", "digits", "--batch", "x"],
            ["train", "digits", "--mode", "CMYK"],
        ),
        *(["train", "digits", "--bogus", "3"], ["sample", "--n"], ["check"], ["sample", "a", "b", "c"]),
    ],
)
def test_what_cannot_be_parsed_exits_with_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    seen = capsys.readouterr()
    assert "Error" in seen.err
    assert "Traceback" not in seen.err


def test_a_flag_that_is_nearly_right(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "digits", "--micro-bach", "3"])
    assert "Did you mean --micro-batch?" in capsys.readouterr().err
