"""Python processes that start in a moment: forked from one that has imported the library, and nothing of a test."""

import multiprocessing
import os
import sys
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
# optimisers import torch._dynamo
_CONTEXT.set_forkserver_preload(["ddpm.cli.train", "ddpm.planning.session", "sklearn.datasets", "torch._dynamo"])


def start(script: str, *argv: str, output: Path, env: Mapping[str, str] = {}) -> BaseProcess:
    """Start a script as ``python -c`` would; its standard streams go to ``output`` with .out and .err at its end."""
    process = _CONTEXT.Process(target=_run, args=(script, argv, str(output), dict(env)))
    process.start()
    return process


def finish(process: BaseProcess) -> int:
    """Wait for its exit code, minus the signal's number for one that was killed."""
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _run(script: str, argv: tuple[str, ...], output: str, env: dict[str, str]) -> None:
    for stream, suffix in ((sys.stdout, ".out"), (sys.stderr, ".err")):
        file = os.open(output + suffix, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, stream.fileno())
        os.close(file)
    os.environ.update(env)
    sys.argv = ["-c", *argv]
    exec(compile(script, "<script>", "exec"), {"__name__": "__main__"})
