import re
import subprocess
import sys
from collections.abc import Callable

from cases import cases

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


@cases(
    ("line", "said"),
    {
        "--bogus": "unknown option --bogus; see `ddpm --help`",
        "trian digits": "unknown command 'trian' (did you mean 'train'?)",
        "train": "DATA is missing; see `ddpm train --help`",
        "edit run photo.png": "--strength is missing; see `ddpm edit --help`",
        "train digits --batch x": "--batch is 'x'; use an integer",
        "train digits --workers 1.5": "--workers is '1.5'; use an integer",
        "train digits --lr x": "--lr is 'x'; use a number",
        "train digits --flip=x": "--flip is 'x'; use true or false",
        "train digits --mode RGBB": "--mode is 'RGBB' (did you mean 'RGB'?); use L, RGB, RGBA",
        "train digits --bogus 3": "unknown option --bogus; see `ddpm train --help`",
        "sample r --seeed=3": "unknown option --seeed (did you mean '--seed'?); see `ddpm sample --help`",
        "train digits --port 3": "unknown option --port; see `ddpm train --help`",
        "train --help=3": "--help takes no value; see `ddpm train --help`",
        "train digits -- --foo": "unexpected argument '--foo'; see `ddpm train --help`",
        "train digits --foo=3 -- x": "unknown option --foo; see `ddpm train --help`",
        "sample r --runs x": "unknown option --runs; see `ddpm sample --help`",
        "serve r --RUN x": "unknown option --RUN; see `ddpm serve --help`",
        "sample --n": "--n needs a value; see `ddpm sample --help`",
        "sample run --n 1 --n 2": "--n is given twice; drop one of them",
        "sample a b\nc": "unexpected argument 'b\\nc'; see `ddpm sample --help`",
    }.items(),
)
def test_what_cannot_be_parsed_is_one_line(line: str, said: str, refused: Callable[..., str]) -> None:
    assert refused(*line.split(" ")) == f"ddpm: {said}\n"
