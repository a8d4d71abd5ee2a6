"""The command line: parses, calls, prints.

Commands are named by their place and imported when called, so that help answers without waiting for torch.
"""

import sys
from collections.abc import Sequence

from cyclopts import App, Parameter

from ddpm import __version__
from ddpm.cli.numbers import exactly
from ddpm.system.errors import InputError

EXIT_INPUT = 2
EXIT_DIVERGED = 3
EXIT_INTERRUPTED = 75
"""Stopped by a signal with everything saved: the same command goes on (EX_TEMPFAIL of sysexits.h)."""

app = App(
    name="ddpm",
    help="Train a denoising diffusion model on your own images, and draw samples from it.\n\n"
    "Exit codes: 0 done, 2 something given cannot be used, 3 training diverged, "
    "75 interrupted with everything saved.",
    version=__version__,
    default_parameter=Parameter(converter=exactly),
)
_COMMANDS = {
    "check": "Decode every image; say what is there and what training would do with it.",
    "train": "Train on a folder of images; the same command again goes on.",
    "train-classifier": "Train a classifier of a run's noised images, which can guide its samples.",
    "sample": "Draw samples from a run, or one picture again.",
    "upscale": "Make small pictures large, by a run of super-resolution.",
    "inpaint": "Draw a part of a picture anew.",
    "outpaint": "Draw more around a picture.",
    "edit": "Change a picture, a little or much.",
    "restore": "Draw what a damaged picture may have been.",
    "interpolate": "Draw what lies between two pictures.",
    "tune": "Find the levels at which few steps come closest to a run's many.",
    "sweep": "Draw the same images by many solvers, grids and steps, and chart what they are worth.",
    "report": "Write one page on a run: scores, samples, losses, settings.",
    "plot": "Draw a schedule, a loss, or how samples come to be.",
    "evaluate": "Measure a run, or a folder of images, against real ones.",
    "likelihood": "Measure how likely a run finds images, in bits per dimension.",
    "compare": "Put scores side by side, if they were made alike.",
    "doctor": "Say what this machine offers.",
}
for _name, _help in _COMMANDS.items():
    _place = _name.replace("-", "_")
    app.command(f"ddpm.cli.{_place}:{_place}", name=_name, help=_help)


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command; a user's mistake is one line on stderr and exit code 2."""
    try:
        app(argv)
    except InputError as e:
        print(f"ddpm: {e}", file=sys.stderr)
        sys.exit(EXIT_INPUT)
    except KeyboardInterrupt:
        print("ddpm: interrupted", file=sys.stderr)
        sys.exit(130)
    except (MemoryError, RuntimeError) as e:
        if not _out_of_memory(e):
            raise
        said = str(e).splitlines()[0].rstrip(".") if str(e) else "no more to be had"
        print(
            f"ddpm: the memory does not suffice ({said}); take fewer images at a time, by a smaller --batch "
            "(--micro-batch in training), or smaller ones",
            file=sys.stderr,
        )
        sys.exit(EXIT_INPUT)


def _out_of_memory(e: Exception) -> bool:
    """Of a device, which is a RuntimeError of torch's by that name, or of the processor."""
    return isinstance(e, MemoryError) or type(e).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(e)
