"""The command line: parses, calls, prints.

Commands are imported when called, so that help does not wait for torch.
"""

import errno
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter

from ddpm import __version__
from ddpm.cli.numbers import exactly
from ddpm.cli.parsing import refusal
from ddpm.cli.streams import dependable
from ddpm.system import peers
from ddpm.system.errors import InputError

EXIT_INPUT = 2
EXIT_DIVERGED = 3
EXIT_OUTPUT = 74
"""Done, but standard output could not be written (EX_IOERR of sysexits.h)."""
EXIT_INTERRUPTED = 75
"""Stopped by a signal with everything saved; the same command resumes (EX_TEMPFAIL of sysexits.h)."""

app = App(
    name="ddpm",
    help="Train a denoising diffusion model on your own images, sample from it and evaluate it.\n\n"
    "Exit codes: 0 success, 2 invalid input, 3 training diverged, "
    "4 another process of a distributed run was lost (re-run to resume), 74 standard output was cut off, "
    "75 interrupted with everything saved (re-run to resume).",
    version=__version__,
    print_error=False,
    exit_on_error=False,
    default_parameter=Parameter(converter=exactly, negative_iterable=()),
)
_MODULES = {
    "plot": "report:plot",
    "import": "exchange:import_model",
    "export": "exchange:export_model",
    **{name: f"editing:{name}" for name in ("inpaint", "outpaint", "edit", "restore", "interpolate")},
}
"""The files and functions of commands whose file is not named after them."""
_COMMANDS = {
    "check": "Decode every image; report problems and how training would use the data.",
    "train": "Train on a folder of images; re-run to resume.",
    "train-classifier": "Train a classifier on noised images, to guide a run's samples; re-run to resume.",
    "distill": "Distil a run into one that samples in few steps; re-run to resume.",
    "sample": "Draw samples from a run, or reproduce a sample.",
    "upscale": "Enlarge pictures with a super-resolution run.",
    "inpaint": "Fill in the masked part of a picture.",
    "outpaint": "Extend a picture beyond its borders.",
    "edit": "Change a picture, slightly or strongly.",
    "restore": "Restore a damaged picture: colourise, deblur, enlarge or fill in.",
    "interpolate": "Interpolate between two pictures.",
    "tune": "Find the solver and noise levels that sample best in few steps.",
    "average": "Average a run's weights over a longer or shorter part of its training, after the fact.",
    "sweep": "Compare solvers, grids and numbers of steps on the same seeds; re-run to resume.",
    "report": "Write a one-page HTML report on a run: scores, samples, losses, settings.",
    "plot": "Plot a schedule, the loss, or a sampling trajectory.",
    "evaluate": "Score a run, or a folder of images, against real images; re-run to resume.",
    "likelihood": "Measure the likelihood of images, in bits per dimension; re-run to resume.",
    "alignment": "Measure how well a run follows captions.",
    "import": "Turn a model of another program into a run.",
    "export": "Write a run in a form that other programs open.",
    "push": "Upload a run to huggingface.co.",
    "serve": "Serve runs: a page to generate, edit and compare, and an API for programs.",
    "compare": "Compare scores that were measured in the same way.",
    "doctor": "Show device, precision, memory and versions.",
}
for _name, _help in _COMMANDS.items():
    _function = _name.replace("-", "_")
    app.command(f"ddpm.cli.{_MODULES.get(_name, f'{_function}:{_function}')}", name=_name, help=_help)


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command; a user's mistake, or an error of the disk, is one line on stderr and exit code 2.

    A command whose output cannot be written continues without it, as its files matter more, and exits with code 74.
    """
    code: str | int | None = None
    with dependable() as output:
        try:
            with peers.together():
                _run(argv)
        except SystemExit as e:
            code = e.code
    if code or output.lost:
        sys.exit(code or EXIT_OUTPUT)


def _run(argv: Sequence[str] | None) -> None:
    try:
        app(argv)
    except CycloptsError as e:
        _refuse(str(refusal(e, list(_COMMANDS))))
    except InputError as e:
        _refuse(str(e))
    except KeyboardInterrupt:
        peers.say("interrupted")
        sys.exit(130)
    except OSError as e:
        named = f"{e.filename}: " if e.filename else ""
        fix = "its path and permissions" if e.errno in (errno.ENOENT, errno.EACCES, errno.EPERM) else "the disk"
        _refuse(f"{named}{e.strerror or e}; check {fix}, and re-run the same command")
    except (MemoryError, RuntimeError) as e:
        if peers.lost(e):
            peers.end()
        if not _out_of_memory(e):
            raise
        reason = f" ({str(e).splitlines()[0].rstrip('.')})" if str(e) else ""
        _refuse(f"out of memory{reason}; use a smaller --batch (--micro-batch when training) or smaller images")


def _refuse(line: str) -> None:
    peers.say(line)
    sys.exit(EXIT_INPUT)


def _out_of_memory(e: Exception) -> bool:
    """Whether the device (a RuntimeError of torch's) or the CPU ran out of memory."""
    return isinstance(e, MemoryError) or type(e).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(e)
