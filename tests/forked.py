"""Python processes that start in a moment: forked from one that has imported the library, and nothing of a test."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

from torch.distributed import TCPStore
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

import looks

_CONTEXT = multiprocessing.get_context("forkserver")
# optimisers import torch._dynamo
_CONTEXT.set_forkserver_preload(["ddpm.cli.train", "ddpm.planning.session", "sklearn.datasets", "torch._dynamo"])
_STORES: list[TCPStore] = []
"""Kept until the end, as processes lose each other with their store."""


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


def started(script: str, *argv: str, folder: Path, env: Mapping[str, str] = {}, world: int = 2) -> list[BaseProcess]:
    """Start a script in processes that train together, as ``torchrun`` would; they print to rank0.out, ….

    The caller must wait for all of them.
    """
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    _STORES.append(store)
    env = dict(env) | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)}
    env |= {"WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world), "CUDA_VISIBLE_DEVICES": ""}
    env |= {"TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0"}
    return [
        start(script, *argv, output=folder / f"rank{r}", env=env | {"RANK": str(r), "LOCAL_RANK": str(r)})
        for r in range(world)
    ]


def together(script: str, *argv: str, folder: Path, env: Mapping[str, str] = {}, world: int = 2) -> list[str]:
    """Run a script in processes that train together; return what each prints."""
    for r, process in enumerate(started(script, *argv, folder=folder, env=env, world=world)):
        assert finish(process) == 0, (folder / f"rank{r}.err").read_text()
    return [(folder / f"rank{r}.out").read_text() for r in range(world)]


def launched(script: str, *argv: str, folder: Path, env: Mapping[str, str] = {}, world: int = 2) -> list[str]:
    """The same by the agent of ``torchrun``, with its own meeting and environment."""
    config = LaunchConfig(1, 1, world, rdzv_backend="c10d", rdzv_endpoint="127.0.0.1:0", start_method="forkserver")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        elastic_launch(config, _ranked)(script, argv, str(folder), {"CUDA_VISIBLE_DEVICES": "", **env})
    finally:  # which the agent takes
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return [(folder / f"rank{r}.out").read_text() for r in range(world)]


def _ranked(script: str, argv: tuple[str, ...], folder: str, env: dict[str, str]) -> None:
    _run(script, argv, f"{folder}/rank{os.environ['RANK']}", env)


def _run(script: str, argv: tuple[str, ...], output: str, env: dict[str, str]) -> None:
    for stream, suffix in ((sys.stdout, ".out"), (sys.stderr, ".err")):
        file = os.open(output + suffix, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, stream.fileno())
        os.close(file)
    os.environ.update(env)
    looks.shorten(setattr)
    sys.argv = ["-c", *argv]
    exec(compile(script, "<script>", "exec"), {"__name__": "__main__"})
