"""Trainings that the page starts: ordinary ``ddpm train`` commands, as processes of their own."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Container
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import psutil
from pydantic import Field

from ddpm.data.shards import KINDS
from ddpm.records.run_folder import RunFolder
from ddpm.serve.progress import last_lines, progress
from ddpm.serve.uploads import Uploads
from ddpm.system.errors import InputError
from ddpm.system.files import read_json, write_json
from ddpm.system.record import Strict, bounds

NAME = re.compile(r"\w[\w.-]{0,63}", re.ASCII)
DIGITS = "digits"
"""The built-in data."""
LINES = 12
"""The number of a training's last lines of output that are shown."""


class Training(Strict):
    """A training to start.

    Attributes:
        name: The name of the run.
        data: A folder or file below the server's folder of data, an upload, or "digits".
        budget: A time, "10m", or a number of images, "500k"; the recipe's own if None.
        size: The side of the images; their own if None.
    """

    name: Annotated[str, Field(max_length=64)]
    data: Annotated[str, Field(max_length=255)]
    budget: Annotated[str, Field(pattern=r"^\d{1,9}(\.\d{1,3})?[a-zA-Z]?$")] | None = None
    size: Annotated[int, bounds(1, 1 << 11)] | None = None


class Trainings:
    """Starts, stops and resumes trainings, one at a time. One that outlived a killed server is found again.

    Args:
        root: the folder that data may come from.
        runs: the folder that runs are written to.
        uploads: the folder of uploaded archives.
    """

    def __init__(self, root: Path | None, runs: Path, uploads: Path) -> None:
        self.root, self.runs, self.folder = None if root is None else root.resolve(), runs, uploads
        self.uploads = Uploads(uploads)
        self._process: psutil.Process | None = None
        self._name: str | None = None
        self._lock = threading.Lock()
        for name in self.names():
            recorded = read_json(self._command(name))
            with suppress(psutil.Error, KeyError, TypeError):
                process = psutil.Process(recorded["pid"])
                if process.cmdline()[-len(recorded["command"]) :] == recorded["command"]:
                    self._process, self._name = process, name

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders that their output may name."""
        return (self.runs, self.folder, *(() if self.root is None else (self.root,)))

    @property
    def running(self) -> str | None:
        """The name of the run that is being trained."""
        if self._process is None:
            return None
        try:
            self._process.wait(0)
        except psutil.TimeoutExpired:
            return self._name
        return None

    def sources(self) -> list[str]:
        """The available data: the entries of the data folder, uploads, and the built-in digits."""
        own = self._entries()
        return [*([] if DIGITS in own else [DIGITS]), *own, *self.uploads.names()]

    def _entries(self) -> list[str]:
        """The data in the data folder."""
        if self.root is None:
            return []
        usable = (p for p in self.root.iterdir() if p.resolve() == p)  # no link, which is refused
        return sorted(p.name for p in usable if p.is_dir() or p.suffix.lower() in (".zip", ".npz", *KINDS))

    def arriving(self, name: str) -> AbstractContextManager[Path]:
        """An upload that arrives; see :meth:`Uploads.arriving`.

        Raises:
            InputError: data in the data folder has this name, or it cannot be used otherwise.
        """
        if name in self._entries():
            raise InputError("exists", f"the data folder has a {name}; choose another name")
        return self.uploads.arriving(name)

    def remove_upload(self, name: str) -> None:
        """Remove an upload.

        Raises:
            InputError: there is none of that name, or a training reads it.
        """
        if name not in self.uploads.names():
            raise InputError("missing", f"there is no upload {name!r}")
        path = self.folder / name
        with self._lock:
            running = self.running
            if running is not None and str(path.resolve()) in self._recorded(running):
                raise InputError("conflict", f"{running} is being trained on {name}; stop it first")
            path.unlink(missing_ok=True)

    def start(self, training: Training, served: Container[str] = ()) -> None:
        """Start a training.

        Args:
            served: the names of the runs that are served.

        Raises:
            InputError: the name or the data are not allowed, or another training runs.
        """
        if not NAME.fullmatch(training.name):
            raise InputError("invalid", f"the name {training.name!r} cannot be used; use letters, digits, - and _")
        out = self.runs / training.name
        if out.exists() or training.name in served:
            raise InputError("exists", f"a run {training.name} already exists; choose another name, or resume it")
        command = ["train", self._data(training.data), "--out", str(out)]
        if training.budget:
            command += ["--for" if training.budget[-1:] in "smh" else "--images", training.budget]
        if training.size:
            command += ["--size", str(training.size)]
        self._spawn(training.name, command)

    def resume(self, name: str) -> None:
        """Resume a training that was stopped.

        Raises:
            InputError: it was not started from here, or another training runs.
        """
        self._spawn(name, self._recorded(name))

    def stop(self) -> None:
        """Stop the running training, with everything saved."""
        with self._lock:
            if self.running is not None and self._process is not None:
                self._process.send_signal(signal.SIGTERM)

    def _recorded(self, name: str) -> list[str]:
        """The command of a training.

        Raises:
            InputError: it was not started from here, or the record of it is damaged.
        """
        found = read_json(path := self._command(name))
        if not isinstance(found, dict) or not isinstance(found.get("command"), list):
            raise InputError("unreadable", f"{path.name} is damaged; start the training with `ddpm train` instead")
        return [str(word) for word in found["command"]]

    def _command(self, name: str) -> Path:
        path = self.folder / f"{name}.command.json"
        if not NAME.fullmatch(name) or not path.exists():
            raise InputError("missing", f"no training {name!r} was started from here")
        return path

    def _data(self, name: str) -> str:
        if name == DIGITS and name not in self._entries():
            return name
        for root in (self.root, self.folder.resolve()):
            if root is None or Path(name).name != name:
                continue
            path = (root / name).resolve()
            if path.parent == root and path.exists() and path.suffix != ".json":
                return str(path)
        raise InputError("missing", f"no data is named {name!r}; choose from {', '.join(self.sources())}")

    def _spawn(self, name: str, command: list[str]) -> None:
        with self._lock:
            if self.running is not None:
                raise InputError("conflict", f"{self.running} is being trained; stop it first")
            self.runs.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / f"{name}.output.txt").open("wb") as output:
                self._process = psutil.Popen(
                    [sys.executable, "-m", "ddpm", *command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env=os.environ | {"NO_COLOR": "1"},
                )
            self._name = name
            write_json(self.folder / f"{name}.command.json", {"command": command, "pid": self._process.pid})

    def state(self, name: str) -> dict[str, Any]:
        """The progress of a training: its state, last lines, number of images, loss, and newest preview.

        The lines may have paths of this machine.

        Raises:
            InputError: no training of this name was started from here.
        """
        self._command(name)
        state: Literal["running", "stopped"] = "running" if self.running == name else "stopped"
        found = progress(RunFolder(self.runs / name))
        said = b"\n".join(last_lines(self.folder / f"{name}.output.txt")[-LINES:]).decode(errors="replace")
        return {"name": name, "state": state, "said": said.splitlines(), **found}

    def names(self) -> list[str]:
        """The names of the trainings started from here."""
        return sorted(path.name.removesuffix(".command.json") for path in self.folder.glob("*.command.json"))
