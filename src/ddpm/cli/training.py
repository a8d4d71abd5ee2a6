"""Exit codes of training commands."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from accelerate import PartialState

from ddpm.cli import EXIT_DIVERGED, EXIT_INTERRUPTED
from ddpm.system.interrupt import Interrupted
from ddpm.training.loop import Diverged


@contextmanager
def exits() -> Iterator[None]:
    """Exit with the code of an interrupt or a divergence."""
    try:
        yield
    except Diverged as e:
        if PartialState().is_main_process:
            print(f"ddpm: {e}", file=sys.stderr)
        sys.exit(EXIT_DIVERGED)
    except Interrupted:
        sys.exit(EXIT_INTERRUPTED)
