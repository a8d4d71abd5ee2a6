"""Commands in forks of a process that has imported the library, each in a fresh copy of a folder."""

import json
import os
import re
import shutil
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from faults.preload import UNTOUCHED, Fault, arm

Contents = dict[str, Any]
CLOCK = {"time", "seconds", "images_per_s", "waiting", "eta_s", "began", "created"}
"""Keys of JSON that depend on the clock."""
SOURCE = re.compile(r"v\d+-[0-9a-f]{32}")
"""The cache of a source, whose name depends on when its files were copied."""
TICKET = re.compile(r"[0-9a-f]{23}")
"""An order of the server, whose name depends on the time: here its seed names it, and pictures what they show."""
DRAFTS = (".part", ".tmp", ".draft", ".lock")
"""The ends of names of files that nothing reads."""


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: its exit code; minus the number of the signal that killed it.
        errors: what it wrote to standard error.
    """

    code: int
    errors: str


def fork(call: Callable[[], None], folder: Path, output: Path) -> Ended:
    """Run a function in a fork, in a folder, with its standard streams in files beside ``output``."""
    out, err = (output.with_suffix(suffix) for suffix in (".out", ".err"))
    sys.stdout.flush()
    if (pid := os.fork()) == 0:
        code = 1
        try:
            for path, number in ((out, 1), (err, 2)):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
            os.chdir(folder)
            call()
            code = 0
        except SystemExit as e:
            code = e.code if isinstance(e.code, int) else 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return Ended(os.waitstatus_to_exitcode(status), err.read_text(errors="replace"))


def run(argv: Sequence[str], home: Path, fault: Fault = UNTOUCHED, number: int = 0, log: Path | None = None) -> Ended:
    """Run ``ddpm`` in a folder that also holds its cache, with a fault at a call."""
    from ddpm.cli import main
    from faults.serving import serve

    def call() -> None:
        os.environ["DDPM_CACHE"] = str(home / "cache")
        arm(home, fault, number, log)
        serve() if argv[0] == "serve" else main(argv)

    return fork(call, home, home.with_name("command"))


def renewed(template: Path, home: Path) -> None:
    """Make a folder a copy of another."""
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(template, home)


def contents(folder: Path) -> Contents:
    """What every file holds, but for the clock; no drafts, and no folders that hold drafts alone."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = SOURCE.sub("source", str(path.relative_to(folder)))
        if not path.is_file() or any(part.endswith(DRAFTS) for part in Path(name).parts):
            continue
        parsed = _parsed(path)
        if TICKET.search(name):  # a picture, or an order, of which failed ones are put again
            if path.suffix == ".json" and parsed[0]["state"] == "failed":
                continue
            told = f"{parsed[0]['order']['seed']} {parsed[0]['state']}" if path.suffix == ".json" else parsed
            name, parsed = TICKET.sub(told, name), told
        while name in found:
            name += " again"
        found[name] = parsed
    return found


def drafts(folder: Path) -> int:
    """The number of drafts that killed commands left."""
    return sum(path.name.endswith(DRAFTS) for path in folder.rglob("*"))


def _parsed(path: Path) -> Any:
    data = path.read_bytes()
    if path.suffix in (".json", ".jsonl"):
        try:
            found = [json.loads(line) for line in (data.splitlines() if path.suffix == ".jsonl" else [data])]
            return [timeless(one) for one in found if one.get("kind") != "start"]  # one more each time
        except ValueError:
            return data
    return sha256(data).hexdigest()


def timeless(value: Any) -> Any:
    """A value of JSON without what depends on the clock."""
    if isinstance(value, dict):
        return {key: timeless(inner) for key, inner in value.items() if key not in CLOCK}
    return [timeless(inner) for inner in value] if isinstance(value, list) else value


def different(found: Contents, expected: Contents) -> list[str]:
    """The files that differ."""
    return sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
